import { vi } from 'vitest'
import {
  CommitQueue,
  type CommitQueueLimits,
  RefusedError,
} from '../../../gateway/ingest/commit-queue.ts'
import type { Handover } from '../../../gateway/mqtt/broker.ts'

/** Messages with these numbers, each of 10 bytes with its topic. */
export const message = (n: number): Handover => ({
  ...{ kind: 'message', topic: 't', receivedAt: 0, qos2Key: null },
  payload: Buffer.from(`${n}`.padEnd(9)),
})
const numberOf = (handover: Handover) =>
  handover.kind === 'message' ? Number(handover.payload.toString()) : handover.kind

const never = { commitWindowMs: 1_000_000, commitAtEvents: 1_000_000 }
const limits = { ...never, groupMaxEvents: 1000, groupMaxBytes: 1_000_000 }

/** A queue whose commits wait for a word: null for done, or the reason of a refusal. */
export function startQueue(more: Partial<CommitQueueLimits> = {}) {
  const commits: { group: (number | string)[]; end(reason: string | null): void }[] = []
  const settled: string[] = []
  const queue = new CommitQueue({ ...limits, ...more }, group => {
    return new Promise(end => commits.push({ group: group.map(numberOf), end }))
  })
  const add = (n: number, sender: object = {}) => {
    queue.add(message(n), sender).then(
      () => settled.push(`${n} kept`),
      (error: Error) => settled.push(`${n} ${error instanceof RefusedError ? 'refused' : error}`),
    )
  }
  return { queue, add, commits, settled, groups: () => commits.map(({ group }) => group) }
}

/** Lets everything happen that does not wait for time. */

export const settle = () => vi.advanceTimersByTimeAsync(0)
