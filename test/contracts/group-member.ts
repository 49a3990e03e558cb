import { vi } from 'vitest'
import type {
  ConsumerGroup,
  Membership,
  OffsetGap,
} from '../../cloud-bridge/ports/consumer-group.ts'
import type { Offsets, ReadRecord } from '../../cloud-bridge/ports/event-stream.ts'
import { SESSION_MS } from './session.ts'

type TestMembership = Partial<Omit<Membership, 'onRecords'>> & {
  topics: readonly string[]
  groupId: string
  onRecords?: Membership['onRecords']
}

/**
 * A member that remembers the records it processed and continues after them in its next assignment.
 * The member leaves the group when disposed.
 */
export type TestMember = AsyncDisposable & {
  /** The processed records as `topic partition: value`, in order. */
  processed: string[]
  /** The partitions of each assignment. */
  assigned: number[][]
  unavailable: string[]
  deleted: OffsetGap[]
  /** Settles when the membership ends. */
  ended: Promise<void>
  leave(): Promise<void>
}

/** Starts a member at the beginning of each partition, unless `onAssigned` gives offsets. */
export function startMember(group: ConsumerGroup, membership: TestMembership): TestMember {
  const leaving = new AbortController()
  const taken: string[] = []
  const assigned: number[][] = []
  const away: string[] = []
  const deleted: OffsetGap[] = []
  const next = new Map(membership.topics.map(topic => [topic, new Map<number, number>()]))
  const { onAssigned, onRecords, ...rest } = membership
  const over = group.consume(
    {
      sessionMs: SESSION_MS,
      onUnavailable: reason => away.push(reason),
      onDeleted: gap => deleted.push(gap),
      async onAssigned(partitions, signal) {
        assigned.push([...partitions])
        return onAssigned ? onAssigned(partitions, signal) : copyOf(next)
      },
      async onRecords(topic, records, signal) {
        await onRecords?.(topic, records, signal)
        signal.throwIfAborted()
        taken.push(...records.map(record => textOf(topic, record)))
        const last = records.at(-1)!
        next.get(topic)!.set(last.partition, last.offset + 1)
      },
      ...rest,
    },
    leaving.signal,
  )
  // A test that does not await the end of the membership must not fail with an unhandled rejection.
  over.catch(() => {})
  const leave = () => {
    leaving.abort()
    return over
  }
  return {
    ...{ processed: taken, assigned, unavailable: away, deleted, ended: over, leave },
    async [Symbol.asyncDispose]() {
      await leave().catch(() => {})
    },
  }
}

const copyOf = (next: Map<string, Map<number, number>>): Map<string, Offsets> =>
  new Map([...next].map(([topic, offsets]) => [topic, new Map(offsets)]))

export const textOf = (topic: string, { partition, value }: ReadRecord) =>
  `${topic} ${partition}: ${value}`

/** Retries the expectation every 20 ms until it is met, at most `timeout` ms. */
export const until = <T>(expected: () => T, timeout = 25_000): Promise<Awaited<T>> =>
  vi.waitFor(expected, { timeout, interval: 20 }) as Promise<Awaited<T>>
