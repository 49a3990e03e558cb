import { pause } from '../../../config/process/pause.ts'
import type { ConsumerGroup, OffsetGap } from '../../ports/consumer-group.ts'
import { createCircuitBreaker } from '../../retry/circuit-breaker.ts'
import { Fenced, StateUnavailable } from '../state/state.ts'
import type { Consumer, PartitionWork } from './partition-work.ts'

const BACKOFF = { firstMs: 200, maxMs: 10_000, stableMs: 30_000 }

export type MemberOptions = {
  consumer: Consumer
  group: ConsumerGroup
  groupId: string
  topics: readonly string[]
  sessionMs: number
  signal: AbortSignal
  /** Which partitions are ours now. */
  onPartitions(partitions: readonly number[]): void
  /** Kafka deleted, before it was read, what was to come. */
  onDeleted(gap: OffsetGap): void
  /** Kafka cannot be reached, or the group does not come about; it goes on trying. */
  onAway(reason: string): void
  /** The membership ended for a reason that may pass; it begins anew. */
  onFault(reason: string): void
}

/**
 * Runs a consumer as one member of its group, until `signal` aborts. A partition's work begins anew
 * with each assignment, from its own record of how far it is. Rejects with what does not pass.
 */
export async function runMember(options: MemberOptions): Promise<void> {
  const { consumer, group, groupId, topics, sessionMs, signal, onPartitions, onFault } = options
  const circuit = createCircuitBreaker(BACKOFF)
  while (!signal.aborted) {
    const failing = new AbortController()
    const works = startWorks(consumer, error => failing.abort(error))
    try {
      const membership = {
        ...{ groupId, topics, sessionMs, onRecords: works.take },
        ...{ onAway: options.onAway, onDeleted: options.onDeleted },
        async onAssigned(partitions: readonly number[], aborted: AbortSignal) {
          const next = await works.assign(partitions, aborted)
          circuit.succeeded()
          onPartitions(partitions)
          const nextOf = (topic: string) =>
            partitions.map(one => [one, next.get(one)!.get(topic) ?? 0] as const)
          return new Map(topics.map(topic => [topic, new Map(nextOf(topic))]))
        },
      }
      await group.consume(membership, AbortSignal.any([signal, failing.signal]))
      if (!signal.aborted) failing.signal.throwIfAborted()
    } catch (error) {
      if (!(error instanceof Fenced || error instanceof StateUnavailable)) throw error
      onFault(error.message)
      await pause(circuit.failed(), signal)
    } finally {
      onPartitions([])
      await works.end()
    }
  }
}

/** The works of a member. What is assigned anew waits until what was before has ended. */
function startWorks(consumer: Consumer, onFailed: (error: unknown) => void) {
  const works = new Map<number, Serial>()
  let last: Promise<unknown> = Promise.resolve()
  const endAll = async () => {
    const ended = [...works.values()]
    works.clear()
    for (const { work, idle } of ended) {
      await idle()
      await work[Symbol.asyncDispose]()
    }
  }
  const begin = async (partitions: readonly number[], signal: AbortSignal) => {
    await endAll()
    for (const partition of partitions) {
      signal.throwIfAborted()
      const work = await consumer.open(partition, signal)
      work.failed?.catch(error => !signal.aborted && onFailed(error))
      works.set(partition, serially(work))
    }
    return new Map([...works].map(([partition, { work }]) => [partition, work.nextOffsets]))
  }
  return {
    /** Takes partitions instead of those before; gives where each goes on. */
    assign(partitions: readonly number[], signal: AbortSignal) {
      const assigned = last.then(() => begin(partitions, signal))
      last = assigned.catch(() => {})
      return assigned
    },
    async take(
      ...[topic, records, signal]: Parameters<PartitionWork['processRecords']>
    ): Promise<void> {
      signal.throwIfAborted()
      await works.get(records[0]!.partition)!.take(topic, records, signal)
    },
    end: () => last.then(endAll),
  }
}

type Serial = ReturnType<typeof serially>

/** The records of several topics, one call at a time; after one that failed, none. */
function serially(work: PartitionWork) {
  let last: Promise<void> = Promise.resolve()
  return {
    work,
    take(...args: Parameters<PartitionWork['processRecords']>): Promise<void> {
      last = last.then(() => work.processRecords(...args))
      return last
    },
    idle: () => last.catch(() => {}),
  }
}
