import type { ReadRecord } from '../../ports/event-stream.ts'
import { rejectOnAbort } from '../runtime/abortable.ts'
import { createDeadLetter } from '../runtime/dead-letter.ts'
import type { SendDeadLetters } from '../runtime/dead-letter-producer.ts'
import type { DependencyWait } from '../runtime/dependency-wait.ts'
import { type ArrivalCounts, emptyCounts } from '../runtime/handler.ts'
import type { PartitionWork } from '../runtime/partition-work.ts'
import type { DecodedRecords } from '../runtime/record-decoder.ts'
import { createSerialQueue } from '../runtime/serial-queue.ts'
import { utcDateOf } from './files/paths.ts'
import { type BufferOwner, createMemoryBudget, type MemoryBudget } from './memory-budget.ts'
import { type ClaimOptions, claimPartition } from './partition.ts'
import { PendingFiles } from './pending-files.ts'

/** What gathers in memory in all, as bytes of Kafka; in columns it takes some two times that. */
const GATHERED_MAX_BYTES = 24 * 1024 * 1024
/** Decoded at once: what is alive when garbage is collected is copied. */
const TAKEN_MAX_EVENTS = 200
const DAY_MS = 86_400_000
const TIDY_EVERY_MS = 3_600_000

export type ArchiveOptions = Omit<ClaimOptions, 'partition'> & {
  name: string
  /** So much is gathered of a partition for a commit at most. */
  fileMaxEvents: number
  fileMaxAgeMs: number
  /** Files are let go so many days after their commit; null: never. */
  keepDays: number | null
  decodeRecords(records: readonly ReadRecord[]): Promise<DecodedRecords>
  produceDeadLetters: SendDeadLetters
  deadLetterTopic: string
  /** Tries again what is away for a while. */
  retryWhileAway: DependencyWait
  /**
   * A commit was made, with how many records of each kind; the order of events means nothing here.
   */
  onCommitted(counts: ArrivalCounts): void
}

/** The archive of one process: gives what takes a partition. */
export function createArchive(
  options: ArchiveOptions,
): (partition: number) => Promise<PartitionWork> {
  const room = createMemoryBudget(GATHERED_MAX_BYTES)
  return partition => openWork({ ...options, partition, room })
}

type PartitionOptions = ArchiveOptions & { partition: number; room: MemoryBudget }

/**
 * The work of the archive on one partition. Events gather in memory until there are enough for
 * files, or the oldest is old enough, and are committed when it ends: what a kill takes before is
 * read again. Where to go on and what is a duplicate follow from the archive alone.
 */
async function openWork(options: PartitionOptions): Promise<PartitionWork> {
  const { name, deadLetterTopic, retryWhileAway, fileMaxAgeMs, keepDays, room } = options
  const archive = await claimPartition(options)
  const next = new Map(Object.entries(archive.committed.next))
  const ending = new AbortController()
  let [counts, gathered] = [emptyCounts(), new PendingFiles()]
  let timer: NodeJS.Timeout | null = null
  const turns = createSerialQueue()
  // When it fails, all that comes after it does.
  const inBackground = (work: () => Promise<void>) => void turns.run(work).catch(() => {})

  const commit = async (persist: (work: () => Promise<void>) => Promise<void>) => {
    if (timer === null) return
    const step = { came: gathered.came.intervals, next: Object.fromEntries(next) }
    const files = await gathered.files()
    await persist(() => archive.commit({ ...step, files }))
    clearTimeout(timer)
    timer = null
    gathered = new PendingFiles()
    options.onCommitted(counts)
    counts = emptyCounts()
  }
  const persistently = (signal: AbortSignal) => (work: () => Promise<void>) =>
    retryWhileAway(work, signal)
  const commitNow = () => turns.run(() => commit(persistently(ending.signal))).catch(() => {})
  const holder: BufferOwner = {
    get bytes() {
      return gathered.bytes
    },
    // Of what failed nothing is kept here: who has the partition next reads it again.
    empty: () => commitNow().then(() => void (turns.hasFailed && room.leave(holder))),
  }
  room.enter(holder)
  const tidy = async () => {
    if (keepDays === null) return
    const from = utcDateOf(Date.now() - keepDays * DAY_MS)
    await retryWhileAway(() => archive.deleteBefore(from), ending.signal)
  }
  const gather = (topic: string, { events, unusable }: DecodedRecords) => {
    for (const { event, record } of events) {
      const { partition, offset, appendTimeMs: heardAt, value } = record
      const row = { event, topic, partition, offset, heardAt }
      const isNew = !archive.committed.came.has(event) && gathered.add(row, value.length)
      counts[isNew ? 'in order' : 'duplicate']++
    }
    counts.unusable += unusable.length
  }

  const takeSome = async (topic: string, records: readonly ReadRecord[], signal: AbortSignal) => {
    const read = await retryWhileAway(() => options.decodeRecords(records), signal)
    const from = { consumer: name, topic, deadletters: deadLetterTopic }
    const letters = read.unusable.map(one => createDeadLetter(one, from))
    if (letters.length > 0)
      await retryWhileAway(() => options.produceDeadLetters(letters, signal), signal)
    signal.throwIfAborted()
    gather(topic, read)
    next.set(topic, records.at(-1)!.offset + 1)
    timer ??= setTimeout(commitNow, fileMaxAgeMs)
    if (gathered.count >= options.fileMaxEvents) await commit(persistently(signal))
  }

  const tidying = setInterval(() => inBackground(tidy), TIDY_EVERY_MS).unref()
  inBackground(tidy)
  return {
    ...{ nextOffsets: next, failed: turns.failed },
    async processRecords(topic, records, signal) {
      // Not within a turn of its own: another's may wait for this one.
      await rejectOnAbort(room.make(), signal)
      await turns.run(async () => {
        for (let at = 0; at < records.length; at += TAKEN_MAX_EVENTS) {
          await takeSome(topic, records.slice(at, at + TAKEN_MAX_EVENTS), signal)
        }
      })
    },
    async [Symbol.asyncDispose]() {
      ending.abort()
      room.leave(holder)
      clearInterval(tidying)
      // What cannot be committed now is read again.
      await turns.runLast(() => commit(work => work())).catch(() => {})
      if (timer) clearTimeout(timer)
    },
  }
}
