import { vi } from 'vitest'
import type {
  ConsumerGroup,
  Membership,
  OffsetGap,
} from '../../cloud-bridge/ports/consumer-group.ts'
import type { Offsets, ReadRecord } from '../../cloud-bridge/ports/event-stream.ts'
import { SESSION_MS } from './session.ts'

type Asked = Partial<Omit<Membership, 'onRecords'>> & {
  topics: readonly string[]
  groupId: string
  onRecords?: Membership['onRecords']
}

/**
 * A member that keeps what it was given and goes on behind what it had; it leaves when disposed.
 */
export type TestMember = AsyncDisposable & {
  /** What it took: `topic partition: value`, in the order in which it took it. */
  processed: string[]
  /** The partitions of each assignment. */
  assigned: number[][]
  unavailable: string[]
  deleted: OffsetGap[]
  /** Settles when the membership does. */
  ended: Promise<void>
  leave(): Promise<void>
}

/** A member from the beginning of each partition, unless `onAssigned` says otherwise. */
export function startMember(group: ConsumerGroup, asked: Asked): TestMember {
  const leaving = new AbortController()
  const taken: string[] = []
  const assigned: number[][] = []
  const away: string[] = []
  const deleted: OffsetGap[] = []
  const next = new Map(asked.topics.map(topic => [topic, new Map<number, number>()]))
  const { onAssigned, onRecords, ...rest } = asked
  const over = group.consume(
    {
      sessionMs: SESSION_MS,
      onUnavailable: reason => away.push(reason),
      onDeleted: gap => deleted.push(gap),
      async onAssigned(partitions, signal) {
        assigned.push([...partitions])
        return onAssigned ? onAssigned(partitions, signal) : copied(next)
      },
      async onRecords(topic, records, signal) {
        await onRecords?.(topic, records, signal)
        signal.throwIfAborted()
        taken.push(...records.map(one => textOf(topic, one)))
        const last = records.at(-1)!
        next.get(topic)!.set(last.partition, last.offset + 1)
      },
      ...rest,
    },
    leaving.signal,
  )
  // Who does not look at it is not told.
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

const copied = (next: Map<string, Map<number, number>>): Map<string, Offsets> =>
  new Map([...next].map(([topic, offsets]) => [topic, new Map(offsets)]))

export const textOf = (topic: string, { partition, value }: ReadRecord) =>
  `${topic} ${partition}: ${value}`

/** Until it is so; what is so soon is seen soon. */
export const until = <T>(expected: () => T, timeout = 25_000): Promise<Awaited<T>> =>
  vi.waitFor(expected, { timeout, interval: 20 }) as Promise<Awaited<T>>
