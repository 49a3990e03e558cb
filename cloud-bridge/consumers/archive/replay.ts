import { encodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ExitCode } from '../../../config/process/exit-codes.ts'
import type { Batch, Framing, KnownFate } from '../../ports/event-sink.ts'
import { listCommittedFiles, readCommittedFile } from './committed-files.ts'
import { dateInPath, utcDateOf } from './files/paths.ts'
import { listPartitions } from './manifest/day-files.ts'
import type { NamedFile } from './manifest/hash-chain.ts'
import type { ArchivedEvent } from './parquet/columns.ts'

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

/** The topic lacks a partition of the archive. */
export class CannotReplay extends Error {
  readonly ending: ExitCode = 'ERR_MISCONFIGURED'
}

/**
 * Sends archived events to a topic again, under the same ids, encoded with the newest schema.
 * Resolves with the number of events that Kafka accepted; with null when aborted. Rejects with
 * CannotReplay when the topic lacks a partition, and with NotAsCommitted before it sends any event
 * of a changed file.
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
  const [from, to] = [utcDateOf(fromMs), utcDateOf(toMs)]
  return (await listCommittedFiles(dir, partition)).filter(({ name }) => {
    const date = dateInPath(name)
    return date === null || (date >= from && date <= to)
  })
}

async function sendFile(options: ArchiveReplayOptions, file: NamedFile): Promise<number | null> {
  const { fromMs, toMs, zone } = options
  const matches = ({ event }: ArchivedEvent) =>
    event.receivedAt >= fromMs && event.receivedAt < toMs && (zone ?? event.zone) === event.zone
  const rows = (await readCommittedFile(options.dir, file)).filter(matches)
  let sent = 0
  for (let at = 0; at < rows.length; at += BATCH_EVENTS) {
    const count = await sendBatch(options, rows.slice(at, at + BATCH_EVENTS))
    if (count === null) return null
    sent += count
  }
  return sent
}

/**
 * Yields all events of an archive, each zone in the order of its offsets in a topic. Throws
 * NotAsCommitted at a changed file or manifest.
 */
export async function* readArchivedEvents(dir: string): AsyncGenerator<SensorReading> {
  for (const partition of await listPartitions(dir)) {
    for (const file of await listCommittedFiles(dir, partition)) {
      for (const { event } of await readCommittedFile(dir, file)) yield event
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
