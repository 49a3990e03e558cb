import { pause } from '../../../config/process/pause.ts'
import type { ConsumerGroup, Membership, OffsetGap } from '../../ports/consumer-group.ts'
import { createCircuitBreaker } from '../../retry/circuit-breaker.ts'
import { Fenced, StateUnavailable } from '../state/state.ts'
import type { Consumer, PartitionWork } from './partition-work.ts'
import { createFailFastQueue, createSerialQueue, type FailFastQueue } from './serial-queue.ts'

const BACKOFF = { firstMs: 200, maxMs: 10_000, stableMs: 30_000 }

export type MemberOptions = {
  consumer: Consumer
  group: ConsumerGroup
  groupId: string
  topics: readonly string[]
  sessionMs: number
  signal: AbortSignal
  /** Called with the partitions that this member owns now. */
  onPartitions(partitions: readonly number[]): void
  /** Called when Kafka deleted records before this member read them. */
  onDeleted(gap: OffsetGap): void
  /** Called when Kafka cannot be reached or the group cannot be joined. The member keeps trying. */
  onUnavailable(reason: string): void
  /** Called when the membership ended for a reason that can pass. The member joins again. */
  onRejoin(reason: string): void
}

/**
 * Runs a consumer as one member of its group until `signal` aborts. Each assignment ends the
 * previous work and opens the work of the assigned partitions, which continues at the committed
 * offsets. Rejects with an error that a retry cannot fix.
 */
export async function runMember(options: MemberOptions): Promise<void> {
  const { consumer, group, groupId, topics, sessionMs, signal, onPartitions } = options
  const circuit = createCircuitBreaker(BACKOFF)
  while (!signal.aborted) {
    const failing = new AbortController()
    const works = createPartitionWorks(consumer, error => failing.abort(error))
    try {
      const membership: Membership = {
        ...{ groupId, topics, sessionMs, onRecords: works.processRecords },
        onUnavailable: options.onUnavailable,
        onDeleted: options.onDeleted,
        async onAssigned(partitions, aborted) {
          const nextOffsets = await works.assign(partitions, aborted)
          circuit.succeeded()
          onPartitions(partitions)
          const offsetsOf = (topic: string) =>
            partitions.map(
              partition => [partition, nextOffsets.get(partition)!.get(topic) ?? 0] as const,
            )
          return new Map(topics.map(topic => [topic, new Map(offsetsOf(topic))]))
        },
      }
      await group.consume(membership, AbortSignal.any([signal, failing.signal]))
      if (!signal.aborted) failing.signal.throwIfAborted()
    } catch (error) {
      if (!(error instanceof Fenced || error instanceof StateUnavailable)) throw error
      options.onRejoin(error.message)
      await pause(circuit.failed(), signal)
    } finally {
      onPartitions([])
      await works.end()
    }
  }
}

type QueuedWork = { work: PartitionWork; queue: FailFastQueue }

/**
 * The work of each assigned partition. A new assignment first ends the work of the previous
 * assignment.
 */
function createPartitionWorks(consumer: Consumer, onFailed: (error: unknown) => void) {
  const works = new Map<number, QueuedWork>()
  const assignments = createSerialQueue()
  const endAll = async () => {
    const ended = [...works.values()]
    works.clear()
    for (const { work, queue } of ended) {
      await queue.runLast(async () => work[Symbol.asyncDispose]())
    }
  }
  const openAll = async (partitions: readonly number[], signal: AbortSignal) => {
    await endAll()
    for (const partition of partitions) {
      signal.throwIfAborted()
      const work = await consumer.open(partition, signal)
      work.failed?.catch(error => !signal.aborted && onFailed(error))
      works.set(partition, { work, queue: createFailFastQueue() })
    }
    return new Map([...works].map(([partition, { work }]) => [partition, work.nextOffsets]))
  }
  return {
    /** Replaces the partitions; resolves with the next offsets of each. */
    assign: (partitions: readonly number[], signal: AbortSignal) =>
      assignments.run(() => openAll(partitions, signal)),
    /**
     * Processes records of one partition. Calls run one at a time; after a failed call all further
     * calls reject.
     */
    async processRecords(
      ...[topic, records, signal]: Parameters<PartitionWork['processRecords']>
    ): Promise<void> {
      signal.throwIfAborted()
      const { work, queue } = works.get(records[0]!.partition)!
      await queue.run(() => work.processRecords(topic, records, signal))
    },
    end: () => assignments.run(endAll),
  }
}
