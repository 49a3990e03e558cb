import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeEvent } from '../../../config/event/sensor-reading.ts'
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
  /** Received from then on and before then, in ms since 1970. */
  fromMs: number
  toMs: number
  /** Only of this zone. */
  zone?: string | undefined
  topic: string
  /** How many partitions the topic has: each event goes to the one it came from. */
  partitions: number
  frame: Framing
  /** Sends a batch until its fate is known; null when asked to end before. */
  deliver(batch: Batch): Promise<KnownFate[] | null>
  onRejected(event: ArchivedEvent, reason: string): void
}

/** The archive is not as it was committed, or does not fit the topic: nothing more is sent. */
export class CannotReplay extends Error {}

/**
 * Sends archived events to a topic once more, under the same ids and with the bytes that the newest
 * schema gives them. Gives how many Kafka has then, null when it was asked to end. Rejects with
 * CannotReplay before it sends anything of a file that was changed.
 */
export async function replayArchive(options: ArchiveReplayOptions): Promise<number | null> {
  const { dir, partitions } = options
  let sent = 0
  for (const partition of await listPartitions(dir)) {
    const files = await filesOf(options, partition)
    if (files.length > 0 && partition >= partitions) {
      const has = `it has ${partitions} partitions`
      throw new CannotReplay(`${options.topic}: ${has}, and events came from number ${partition}`)
    }
    for (const file of files) {
      const count = await sendFile(options, file)
      if (count === null) return null
      sent += count
    }
  }
  return sent
}

async function filesOf({ dir, fromMs, toMs }: ArchiveReplayOptions, partition: number) {
  const { named, faults } = await readChain(dir, partition)
  if (faults.length > 0) throw new CannotReplay(faults.join('\n'))
  const [from, to] = [utcDateOf(fromMs), utcDateOf(toMs)]
  return [...named.values()].filter(({ name }) => {
    const date = dateInPath(name)
    return date === null || (date >= from && date <= to)
  })
}

async function sendFile(options: ArchiveReplayOptions, file: NamedFile): Promise<number | null> {
  const bytes = await readFile(join(options.dir, file.name))
  if (sha256(bytes) !== file.sha256) {
    throw new CannotReplay(`${file.name} was changed since it was committed (${file.line})`)
  }
  const { fromMs, toMs, zone } = options
  const isAsked = ({ event }: ArchivedEvent) =>
    event.receivedAt >= fromMs && event.receivedAt < toMs && (zone ?? event.zone) === event.zone
  const events = (await readParquet(bytes)).filter(isAsked)
  let sent = 0
  for (let at = 0; at < events.length; at += BATCH_EVENTS) {
    const count = await sendSome(options, events.slice(at, at + BATCH_EVENTS))
    if (count === null) return null
    sent += count
  }
  return sent
}

async function sendSome(options: ArchiveReplayOptions, rows: readonly ArchivedEvent[]) {
  const { topic, frame, deliver, onRejected } = options
  const stored = rows.map(({ event }) => ({ zone: event.zone, value: encodeEvent(event) }))
  const { values, headers } = await frame(topic, stored)
  const records = rows.map(({ event, partition }, at) => ({
    ...{ key: Buffer.from(event.zone), partition, value: values[at]!, headers: headers[at]! },
  }))
  const fates = await deliver({ topic, records })
  if (!fates) return null
  for (const [at, reason] of fates.entries()) if (reason !== null) onRejected(rows[at]!, reason)
  return fates.filter(reason => reason === null).length
}
