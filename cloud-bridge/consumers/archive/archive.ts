import type { ReadRecord } from '../../ports/event-stream.ts'
import { rejectOnAbort } from '../runtime/abortable.ts'
import { createDeadLetter } from '../runtime/dead-letter.ts'
import type { SendDeadLetters } from '../runtime/dead-letter-producer.ts'
import type { DependencyRetry } from '../runtime/dependency-retry.ts'
import { type ArrivalCounts, emptyCounts } from '../runtime/handler.ts'
import type { PartitionWork } from '../runtime/partition-work.ts'
import type { DecodedRecords } from '../runtime/record-decoder.ts'
import { createFailFastQueue, type FailFastQueue } from '../runtime/serial-queue.ts'
import { type CompactionCounts, createDailyCompaction } from './compaction-run.ts'
import { utcDateDaysAgo } from './files/paths.ts'
import { type BufferOwner, createMemoryBudget, type MemoryBudget } from './memory-budget.ts'
import { type ArchivePartition, type ClaimOptions, claimPartition } from './partition.ts'
import { PendingFiles } from './pending-files.ts'

/**
 * The limit of all pending events of a process, as bytes in Kafka. In columns they take twice that.
 */
const PENDING_MAX_BYTES = 24 * 1024 * 1024
/** How many records are decoded at once: garbage collection copies all live objects. */
const DECODED_MAX_RECORDS = 200
const UPKEEP_EVERY_MS = 3_600_000

export type ArchiveOptions = Omit<ClaimOptions, 'partition'> & {
  name: string
  /** A partition commits when it has this number of pending events. */
  fileMaxEvents: number
  /** A partition commits when its oldest pending event has been pending for this number of ms. */
  fileMaxAgeMs: number
  /** Files are deleted this number of days after their commit; null: never. */
  keepDays: number | null
  /** Files of a date are merged this number of days after the date; null: never. */
  compactAfterDays: number | null
  decodeRecords(records: readonly ReadRecord[]): Promise<DecodedRecords>
  produceDeadLetters: SendDeadLetters
  deadLetterTopic: string
  /** Retries work while its dependency is unavailable. */
  retryWhileUnavailable: DependencyRetry
  /**
   * Called after a commit with the number of its records by arrival. `in order` counts all new
   * events, late events too.
   */
  onCommitted(counts: ArrivalCounts): void
  onCompacted(partition: number, counts: CompactionCounts): void
  /** Called with the reason why a compaction leaves some files as they are. */
  onNotCompacted(partition: number, reason: string): void
}

/**
 * Creates the archive of one process. The returned function takes ownership of a partition and
 * opens the work on it.
 */
export function createArchive(
  options: ArchiveOptions,
): (partition: number) => Promise<PartitionWork> {
  const budget = createMemoryBudget(PENDING_MAX_BYTES)
  return partition => openWork({ ...options, partition, budget })
}

type PartitionOptions = ArchiveOptions & { partition: number; budget: MemoryBudget }

/**
 * Opens the work of the archive on one partition. Pending events stay in memory. They are committed
 * when they are `fileMaxEvents`, when the oldest has been pending for `fileMaxAgeMs`, when the
 * process needs memory, or when the work ends. The archive itself stores the next offsets, so after
 * a crash the next owner of the partition reads the uncommitted events again. The archive also
 * stores which events it has, so it ignores duplicates.
 */
async function openWork(options: PartitionOptions): Promise<PartitionWork> {
  const { retryWhileUnavailable, fileMaxAgeMs, budget } = options
  const archive = await claimPartition(options)
  const nextOffsets = new Map(Object.entries(archive.committed.nextOffsets))
  const ending = new AbortController()
  let [counts, pending] = [emptyCounts(), new PendingFiles()]
  let timer: NodeJS.Timeout | null = null
  const queue = createFailFastQueue()

  const commit = async (persist: (work: () => Promise<void>) => Promise<void>) => {
    if (timer === null) return
    const { intervals: events } = pending.events
    const content = { events, nextOffsets: Object.fromEntries(nextOffsets) }
    const files = await pending.createFiles()
    await persist(() => archive.commit({ ...content, files }))
    clearTimeout(timer)
    timer = null
    pending = new PendingFiles()
    options.onCommitted(counts)
    counts = emptyCounts()
  }
  const withRetries = (signal: AbortSignal) => (work: () => Promise<void>) =>
    retryWhileUnavailable(work, signal)
  const commitNow = () => queue.run(() => commit(withRetries(ending.signal))).catch(() => {})
  const owner: BufferOwner = {
    get bytes() {
      return pending.bytes
    },
    // After a failure the next owner of the partition reads the pending events again.
    commit: () => commitNow().then(() => void (queue.hasFailed && budget.remove(owner))),
  }
  budget.add(owner)
  const addAll = (topic: string, { events, unusable }: DecodedRecords) => {
    for (const { event, record } of events) {
      const { partition, offset, appendTimeMs, value } = record
      const row = { event, topic, partition, offset, appendTimeMs }
      const isNew = !archive.committed.events.has(event) && pending.add(row, value.length)
      counts[isNew ? 'in order' : 'duplicate']++
    }
    counts.unusable += unusable.length
  }

  const addBatch = async (topic: string, records: readonly ReadRecord[], signal: AbortSignal) => {
    const decoded = await retryWhileUnavailable(() => options.decodeRecords(records), signal)
    await produceUnusable(options, topic, decoded, signal)
    signal.throwIfAborted()
    addAll(topic, decoded)
    nextOffsets.set(topic, records.at(-1)!.offset + 1)
    timer ??= setTimeout(commitNow, fileMaxAgeMs)
    if (pending.count >= options.fileMaxEvents) await commit(withRetries(signal))
  }

  const upkeep = startUpkeep({ ...options, archive, queue, signal: ending.signal })
  return {
    ...{ nextOffsets, failed: queue.failed },
    async processRecords(topic, records, signal) {
      // The wait is outside of the queue: another partition that waits for room may need this
      // partition's commit, which runs in the queue.
      await rejectOnAbort(budget.makeRoom(), signal)
      await queue.run(async () => {
        for (let at = 0; at < records.length; at += DECODED_MAX_RECORDS) {
          await addBatch(topic, records.slice(at, at + DECODED_MAX_RECORDS), signal)
        }
      })
    },
    async [Symbol.asyncDispose]() {
      ending.abort()
      budget.remove(owner)
      upkeep.stop()
      // If this commit fails, the next owner of the partition reads the events from Kafka again.
      await queue.runLast(() => commit(work => work())).catch(() => {})
      if (timer) clearTimeout(timer)
    },
  }
}

type UpkeepOptions = PartitionOptions & {
  archive: ArchivePartition
  queue: FailFastQueue
  signal: AbortSignal
}

/** Deletes old files and merges small files, now and every hour, until `stop`. */
function startUpkeep(options: UpkeepOptions): { stop(): void } {
  const { dir, partition, keepDays, compactAfterDays, archive, queue, signal } = options
  const deleteOld = async () => {
    if (keepDays === null) return
    const day = utcDateDaysAgo(keepDays)
    await options.retryWhileUnavailable(() => archive.deleteBefore(day), signal)
  }
  const compaction = {
    ...{ dir, partition, archive, runAlone: queue.run, signal },
    onProblem: (reason: string) => options.onNotCompacted(partition, reason),
    onCompacted: (counts: CompactionCounts) => options.onCompacted(partition, counts),
  }
  const compact =
    compactAfterDays === null ? null : createDailyCompaction(compaction, compactAfterDays)
  const run = () => {
    // After a failure the queue runs no further task, and `failed` of the work rejects.
    for (const work of [queue.run(deleteOld), compact?.()]) work?.catch(() => {})
  }
  const timer = setInterval(run, UPKEEP_EVERY_MS).unref()
  run()
  return { stop: () => clearInterval(timer) }
}

/** Produces a dead letter for each record that is no event. */
async function produceUnusable(
  { name, deadLetterTopic, produceDeadLetters, retryWhileUnavailable }: ArchiveOptions,
  topic: string,
  { unusable }: DecodedRecords,
  signal: AbortSignal,
): Promise<void> {
  if (unusable.length === 0) return
  const origin = { consumer: name, topic, deadLetterTopic }
  const letters = unusable.map(record => createDeadLetter(record, origin))
  await retryWhileUnavailable(() => produceDeadLetters(letters, signal), signal)
}
