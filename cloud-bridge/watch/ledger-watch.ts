import { pause } from '../../config/process/pause.ts'
import { nullOnAbort } from '../consumers/runtime/abortable.ts'
import { describeError } from '../kafka/errors.ts'
import type { EventStream, ReadRecord } from '../ports/event-stream.ts'
import { createObservedRuns, type OwnStore } from './observed-runs.ts'

/** The first read covers at most so many of the newest bytes and records of each partition. */
const FIRST = { maxBytes: 4 * 1024 * 1024, maxRecords: 10_000 }
/** A later read covers what is new, but not more than this: the uplink may be slow. */
const LATER = { maxBytes: 256 * 1024, maxRecords: 1000 }
/** The first chunk is small, because the size of the records is unknown then. */
const FIRST_CHUNK_RECORDS = 20
const CHUNK_MAX_RECORDS = 2000
const READ_EVERY_MS = 5 * 60_000
/** While there is no outbox to read, or Kafka is away. */
const RETRY_MS = 30_000

type Limits = typeof FIRST

/** Whose notes to look for: the own store, and the epoch of its newest run. */
export type OwnRun = OwnStore & { epoch: number }

export type LedgerWatchOptions = {
  stream: EventStream
  topic: string
  /** `kafka.brokers`, which a reason of `onUnreadable` may name. */
  brokers: readonly string[]
  /** Null while there is no outbox to read. */
  ownRun(): OwnRun | null
  /** Called once when the topic cannot be read, with the reason; null when it can be read again. */
  onUnreadable(reason: string | null): void
  /** Called with each new warning. */
  onWarning(text: string): void
  readEveryMs?: number
}

export type LedgerWatch = ReturnType<typeof createLedgerWatch>

/**
 * Watches the ledger topic for signs that another gateway runs with a copy of this store or under
 * this gateway's id. Reads a bounded number of notes at start and every few minutes, beside the
 * deliveries. A Kafka that is away, or a missing right to read, ends by itself.
 */
export function createLedgerWatch(options: LedgerWatchOptions) {
  const { stream, topic, brokers, ownRun, onWarning, readEveryMs = READ_EVERY_MS } = options
  let reader: ReturnType<typeof createLedgerReader> | null = null
  let read: OwnStore | null = null
  let warnings: string[] = []
  let unreadable: string | null = null

  const report = (reason: string | null) => {
    if (reason !== unreadable) options.onUnreadable(reason)
    unreadable = reason
  }
  /** Returns whether the topic was read to its end. */
  const check = async (): Promise<boolean> => {
    const own = ownRun()
    if (!own) return false
    // After a rename or with another store, everything is read again.
    if (!reader || read?.store !== own.store || read.gateway !== own.gateway) {
      reader = createLedgerReader(stream, topic, own)
      read = own
    }
    try {
      await reader.readNewest()
      report(null)
    } catch (error) {
      report(describeError(error, brokers))
      return false
    }
    const before = new Set(warnings)
    // The gateway may have begun a run while the topic was read.
    warnings = reader.observed.warnings(ownRun()?.epoch ?? own.epoch)
    for (const text of warnings) if (!before.has(text)) onWarning(text)
    return true
  }
  return {
    /** What a person should look into, a sentence each. */
    alarms: (): readonly string[] => warnings,
    check,
    /** Reads the topic every few minutes until `signal` aborts. */
    async run(signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        const isRead = await nullOnAbort(check(), signal)
        await pause(isRead ? readEveryMs : Math.min(readEveryMs, RETRY_MS), signal)
      }
    },
  }
}

/**
 * Reads the newest notes of a ledger topic once, and returns the warnings about a store. Rejects
 * while Kafka is unavailable, and without the right to read.
 */
export async function readLedgerWarnings(stream: EventStream, topic: string, own: OwnRun) {
  const reader = createLedgerReader(stream, topic, own)
  await reader.readNewest()
  return reader.observed.warnings(own.epoch)
}

/** Reads the newest part of a topic at first, and then what was added. */
function createLedgerReader(stream: EventStream, topic: string, own: OwnStore) {
  const observed = createObservedRuns(own)
  const positions = new Map<number, number>()
  return {
    observed,
    async readNewest(): Promise<void> {
      // A topic that does not exist has no notes; the bridge reports that it is missing.
      const offsets = (await stream.topicOffsets([topic])).get(topic)
      for (const [partition, end] of offsets?.end ?? []) {
        const known = positions.get(partition)
        const begin = Math.max(offsets!.begin.get(partition) ?? 0, known ?? 0)
        const limits = known === undefined ? FIRST : LATER
        await readBackwards(stream, { topic, partition, begin, end, limits }, observed.add)
        positions.set(partition, end)
      }
    },
  }
}

type Part = { topic: string; partition: number; begin: number; end: number; limits: Limits }

/**
 * Reads a partition from its end towards `begin`, in chunks, until a limit is reached: the newest
 * notes matter most, and Kafka does not say how large the notes are.
 */
async function readBackwards(
  stream: EventStream,
  { topic, partition, begin, end, limits }: Part,
  add: (value: Buffer, appendTimeMs: number) => void,
): Promise<void> {
  const first = Math.max(begin, end - limits.maxRecords)
  let [to, bytes, chunk] = [end, 0, FIRST_CHUNK_RECORDS]
  while (to > first && bytes < limits.maxBytes) {
    const from = Math.max(first, to - chunk)
    await stream.readBetween(
      topic,
      new Map([[partition, from]]),
      new Map([[partition, to]]),
      ({ value, appendTimeMs }: ReadRecord) => {
        bytes += value.length
        add(value, appendTimeMs)
      },
    )
    const bytesPerRecord = Math.max(1, bytes / (end - from))
    const affordable = Math.floor((limits.maxBytes - bytes) / bytesPerRecord)
    chunk = Math.min(CHUNK_MAX_RECORDS, Math.max(1, affordable))
    to = from
  }
}
