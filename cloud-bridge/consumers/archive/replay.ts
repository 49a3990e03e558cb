import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ExitCode } from '../../../config/process/exit-codes.ts'
import type { Batch, Framing, KnownFate } from '../../ports/event-sink.ts'
import { dateInPath, utcDateOf } from './files/paths.ts'
import { listPartitions } from './manifest/day-files.ts'
import { sha256 } from './manifest/entry.ts'
import { type NamedFile, readChain } from './manifest/hash-chain.ts'
import type { ArchivedEvent } from './parquet/columns.ts'
import { readParquet } from './parquet/parquet.ts'

const BATCH_EVENTS = 500

export type ArchiveReplayOptions = {
  dir: string
  /**
   * Only events that a gateway received at `fromMs` or later and before `toMs`, in ms since 1970.
   */
  fromMs: number
  toMs: number
  /** Only events of this zone. */
  zone?: string | undefined
  topic: string
  /**
   * The topic's number of partitions: each event is sent to the partition from which it was
   * archived.
   */
  partitions: number
  frame: Framing
  /**
   * Sends a batch until the fate of each record is known. Resolves with null when aborted before.
   */
  deliver(batch: Batch): Promise<KnownFate[] | null>
  onRejected(event: ArchivedEvent, reason: string): void
}

/** The archive was changed, or does not fit the topic: the replay sends nothing more. */
export class CannotReplay extends Error {
  readonly ending: ExitCode = 'ERR_MISCONFIGURED'
}

/**
 * Sends archived events to a topic again, under the same ids, encoded with the newest schema.
 * Resolves with the number of events that Kafka accepted; with null when aborted. Rejects with
 * CannotReplay before it sends any event of a changed file.
 */
export async function replayArchive(options: ArchiveReplayOptions): Promise<number | null> {
  const { dir, topic, partitions } = options
  let sent = 0
  for (const partition of await listPartitions(dir)) {
    const files = await findFiles(options, partition)
    if (files.length > 0 && partition >= partitions) {
      const size = `topic ${topic} has ${partitions} partitions`
      const cure = `Add partitions, or name a topic with ${partition + 1} partitions or more`
      throw new CannotReplay(
        `${size}, but archived events belong to partition ${partition}. ${cure}`,
      )
    }
    for (const file of files) {
      const count = await sendFile(options, file)
      if (count === null) return null
      sent += count
    }
  }
  return sent
}

async function findFiles({ dir, fromMs, toMs }: ArchiveReplayOptions, partition: number) {
  const { named, faults } = await readChain(dir, partition)
  if (faults.length > 0) throw new CannotReplay(faults.join('\n'))
  const [from, to] = [utcDateOf(fromMs), utcDateOf(toMs)]
  const matching = [...named.values()].filter(({ name }) => {
    const date = dateInPath(name)
    return date === null || (date >= from && date <= to)
  })
  // In order of offsets also after a compaction, which names files of earlier events later.
  return matching.sort((a, b) => a.first - b.first)
}

async function sendFile(options: ArchiveReplayOptions, file: NamedFile): Promise<number | null> {
  const { fromMs, toMs, zone } = options
  const matches = ({ event }: ArchivedEvent) =>
    event.receivedAt >= fromMs && event.receivedAt < toMs && (zone ?? event.zone) === event.zone
  const rows = (await readFileRows(options.dir, file)).filter(matches)
  let sent = 0
  for (let at = 0; at < rows.length; at += BATCH_EVENTS) {
    const count = await sendBatch(options, rows.slice(at, at + BATCH_EVENTS))
    if (count === null) return null
    sent += count
  }
  return sent
}

async function readFileRows(dir: string, file: NamedFile): Promise<ArchivedEvent[]> {
  const bytes = await readFile(join(dir, file.name))
  if (sha256(bytes) === file.sha256) return readParquet(bytes)
  throw new CannotReplay(`${file.name} was changed since it was committed (${file.line})`)
}

/**
 * Yields all events of an archive, each zone in the order of its offsets in a topic. Throws
 * CannotReplay at a changed file or manifest.
 */
export async function* readArchivedEvents(dir: string): AsyncGenerator<SensorReading> {
  for (const partition of await listPartitions(dir)) {
    const { named, faults } = await readChain(dir, partition)
    if (faults.length > 0) throw new CannotReplay(faults.join('\n'))
    for (const file of [...named.values()].sort((a, b) => a.first - b.first)) {
      for (const { event } of await readFileRows(dir, file)) yield event
    }
  }
}

async function sendBatch(options: ArchiveReplayOptions, rows: readonly ArchivedEvent[]) {
  const { topic, frame, deliver, onRejected } = options
  const encoded = rows.map(({ event }) => ({ zone: event.zone, value: encodeEvent(event) }))
  const { values, headers } = await frame(topic, encoded)
  const records = rows.map(({ event, partition }, index) => ({
    ...{ key: Buffer.from(event.zone), partition },
    ...{ value: values[index]!, headers: headers[index]! },
  }))
  const fates = await deliver({ topic, records })
  if (!fates) return null
  for (const [index, reason] of fates.entries()) {
    if (reason !== null) onRejected(rows[index]!, reason)
  }
  return fates.filter(reason => reason === null).length
}
