import { setTimeout as sleep } from 'node:timers/promises'
import { startCircuit } from '../../circuit.ts'
import type { ConsumerGroup } from '../../consumer-group.ts'
import { Fenced } from '../state/state.ts'
import type { Consumer, Work } from './work.ts'

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
  /** The membership ended for a reason that may pass; it begins anew. */
  onFault(reason: string): void
}

/**
 * Runs a consumer as one member of its group, until `signal` aborts. A partition's work begins anew
 * with each assignment, from its own record of how far it is. Rejects with what does not pass.
 */
export async function runMember(options: MemberOptions): Promise<void> {
  const { consumer, group, groupId, topics, sessionMs, signal, onPartitions, onFault } = options
  const circuit = startCircuit(BACKOFF)
  while (!signal.aborted) {
    const works = new Map<number, Serial>()
    try {
      await group.join(
        {
          groupId,
          topics,
          sessionMs,
          async onAssigned(partitions) {
            await end(works)
            for (const partition of partitions) {
              works.set(partition, serially(await consumer.open(partition)))
            }
            onPartitions(partitions)
            const nextOf = (topic: string) =>
              partitions.map(one => [one, works.get(one)!.work.next.get(topic) ?? 0] as const)
            return new Map(topics.map(topic => [topic, new Map(nextOf(topic))]))
          },
          onRecords: (topic, records, aborted) =>
            works.get(records[0]!.partition)!.take(topic, records, aborted),
        },
        signal,
      )
    } catch (error) {
      if (!(error instanceof Fenced)) throw error
      onFault(error.message)
      await sleep(circuit.failed(), undefined, { signal }).catch(() => {})
    } finally {
      onPartitions([])
      await end(works)
    }
  }
}

async function end(works: Map<number, Serial>): Promise<void> {
  const ended = [...works.values()]
  works.clear()
  for (const { work, idle } of ended) {
    await idle()
    await work[Symbol.asyncDispose]()
  }
}

type Serial = ReturnType<typeof serially>

/** The records of several topics, one call at a time. */
function serially(work: Work) {
  let last: Promise<unknown> = Promise.resolve()
  return {
    work,
    take(...args: Parameters<Work['take']>): Promise<void> {
      const taken = last.then(() => work.take(...args))
      last = taken.catch(() => {})
      return taken
    },
    idle: () => last,
  }
}
