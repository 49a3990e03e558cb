import type { ConsumerStateAccess, PartitionState } from '../state/state.ts'
import { Deduplication } from './deduplication.ts'
import { type ArrivalCounts, emptyCounts, type Handling } from './handler.ts'
import type { PartitionWork } from './partition-work.ts'
import { createFailFastQueue } from './serial-queue.ts'
import { createUncommittedBatch, type UncommittedBatchOptions } from './uncommitted-batch.ts'

export type StatefulWorkOptions = UncommittedBatchOptions & {
  state: Pick<ConsumerStateAccess, 'claim'>
  partition: number
  createHandling(state: PartitionState): Promise<Handling>
  /**
   * The shortest time between two commits, in ms; 0: a commit after each call of `processRecords`.
   */
  commitEveryMs?: number
  /**
   * Called once at the start with zero counts, and after each commit. `counts` says how the
   * committed records arrived; `missing` is the number of zone sequences that have not arrived so
   * far. `state` can have pending effects.
   */
  onCommitted(counts: ArrivalCounts, state: PartitionState, missing: number): void
  /** Called at the end of the work: from then on another member can own the partition. */
  onEnded(state: PartitionState): void
}

const COMMITTED_MAX_RECORDS = 20_000

/** Opens the work of a consumer whose state and offsets commit together. */
export async function openStatefulWork(options: StatefulWorkOptions): Promise<PartitionWork> {
  const { partition, retryWhileUnavailable, commitEveryMs = 0 } = options
  const state = await options.state.claim(partition)
  const deduplication = await Deduplication.read(state)
  const batch = createUncommittedBatch(deduplication, await options.createHandling(state), options)
  const nextOffsets = new Map(state.offsets)
  const queue = createFailFastQueue()
  const ending = new AbortController()
  let committedMs = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | null = null
  options.onCommitted(emptyCounts(), state, deduplication.missing)

  const commit = async (persist: (work: () => Promise<void>) => Promise<void>) => {
    if (timer) clearTimeout(timer)
    timer = null
    if (batch.count === 0) return
    const { changes, counts } = await batch.drainChanges()
    await persist(() => state.commit(changes))
    committedMs = performance.now()
    for (const [topic, offset] of changes.offsets) nextOffsets.set(topic, offset)
    options.onCommitted(counts, state, deduplication.missing)
  }
  const commitInBackground = () => {
    queue.run(() => commit(work => retryWhileUnavailable(work, ending.signal))).catch(() => {})
  }

  return {
    nextOffsets,
    failed: queue.failed,
    processRecords: (topic, records, signal) =>
      queue.run(async () => {
        await batch.add(topic, records, signal)
        const waitMs = committedMs + commitEveryMs - performance.now()
        const isCommitDue = waitMs <= 0 || batch.count >= COMMITTED_MAX_RECORDS
        if (isCommitDue) await commit(work => retryWhileUnavailable(work, signal))
        else timer ??= setTimeout(commitInBackground, waitMs)
      }),
    async [Symbol.asyncDispose]() {
      ending.abort()
      // One attempt without a retry, and its error is ignored: the next owner of the partition
      // reads uncommitted records again, from the last committed offset. No attempt after a
      // failure, because a record may have been processed in part.
      const commitLast = async () => {
        if (!queue.hasFailed) await commit(work => work())
      }
      await queue.runLast(commitLast).catch(() => {})
      if (timer) clearTimeout(timer)
      options.onEnded(state)
    },
  }
}
