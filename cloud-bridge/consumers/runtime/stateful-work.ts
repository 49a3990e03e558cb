import type { ConsumerStateAccess, PartitionState } from '../state/state.ts'
import { Deduplication } from './deduplication.ts'
import { type ArrivalCounts, emptyCounts, type Handling } from './handler.ts'
import type { PartitionWork } from './partition-work.ts'
import { createSerialQueue } from './serial-queue.ts'
import { createUncommittedBatch, type UncommittedBatchOptions } from './uncommitted-batch.ts'

export type StatefulWorkOptions = UncommittedBatchOptions & {
  state: Pick<ConsumerStateAccess, 'claim'>
  partition: number
  createHandling(state: PartitionState): Promise<Handling>
  /** What comes so soon behind a commit waits for the next one; 0: each take is committed. */
  commitEveryMs?: number
  /**
   * Once at the start, with nothing counted, and after each commit: how what it was about had come,
   * and how many numbers are missing now. Effects may wait.
   */
  onCommitted(counts: ArrivalCounts, state: PartitionState, missing: number): void
  /** The partition may be another's from now on. */
  onEnded(state: PartitionState): void
}

const COMMITTED_MAX_RECORDS = 20_000

/** The work of a consumer whose state and offsets are committed together. */
export async function openStatefulWork(options: StatefulWorkOptions): Promise<PartitionWork> {
  const { partition, waitForDependencies, commitEveryMs = 0 } = options
  const state = await options.state.claim(partition)
  const arrivals = await Deduplication.read(state)
  const taking = createUncommittedBatch(arrivals, await options.createHandling(state), options)
  const next = new Map(state.offsets)
  const turns = createSerialQueue()
  const ending = new AbortController()
  let committedMs = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | null = null
  options.onCommitted(emptyCounts(), state, arrivals.missing)

  const commit = async (persist: (work: () => Promise<void>) => Promise<void>) => {
    if (timer) clearTimeout(timer)
    timer = null
    if (taking.count === 0) return
    const { changes, counts } = taking.takeChanges()
    await persist(() => state.commit(changes))
    committedMs = performance.now()
    for (const [topic, offset] of changes.offsets) next.set(topic, offset)
    options.onCommitted(counts, state, arrivals.missing)
  }
  const commitNow = () => {
    turns.run(() => commit(work => waitForDependencies(work, ending.signal))).catch(() => {})
  }

  return {
    nextOffsets: next,
    failed: turns.failed,
    processRecords: (topic, records, signal) =>
      turns.run(async () => {
        await taking.take(topic, records, signal)
        const restMs = committedMs + commitEveryMs - performance.now()
        const isDue = restMs <= 0 || taking.count >= COMMITTED_MAX_RECORDS
        if (isDue) await commit(work => waitForDependencies(work, signal))
        else timer ??= setTimeout(commitNow, restMs)
      }),
    async [Symbol.asyncDispose]() {
      ending.abort()
      // What cannot be committed now, or was taken in part, is read again.
      const last = async () => {
        if (!turns.hasFailed) await commit(work => work())
      }
      await turns.runLast(last).catch(() => {})
      if (timer) clearTimeout(timer)
      options.onEnded(state)
    },
  }
}
