import { vi } from 'vitest'
import {
  CommitQueue,
  type CommitQueueLimits,
  RefusedError,
} from '../../../gateway/ingest/commit-queue.ts'
import type { Handover } from '../../../gateway/mqtt/broker.ts'

/** A message with the number `n`. Its topic and payload have 10 bytes together. */
export const message = (n: number): Handover => ({
  ...{ kind: 'message', topic: 't', receivedAt: 0, qos2Key: null },
  payload: Buffer.from(`${n}`.padEnd(9)),
})
const numberOf = (handover: Handover) =>
  handover.kind === 'message' ? Number(handover.payload.toString()) : handover.kind

const never = { commitWindowMs: 1_000_000, commitAtEvents: 1_000_000 }
export const limits = { ...never, groupMaxEvents: 1000, groupMaxBytes: 1_000_000 }

/** A queue whose commits are ended by the test: with null, or with the reason of a refusal. */
export function createQueue(more: Partial<CommitQueueLimits> = {}) {
  const commits: { group: (number | string)[]; end(reason: string | null): void }[] = []
  const fates: string[] = []
  const queue = new CommitQueue({ ...limits, ...more }, group => {
    return new Promise(end => commits.push({ group: group.map(numberOf), end }))
  })
  const add = (n: number, sender: object = {}) => {
    queue.add(message(n), sender).then(
      () => fates.push(`${n} kept`),
      (error: Error) => fates.push(`${n} ${error instanceof RefusedError ? 'refused' : error}`),
    )
  }
  return { queue, add, commits, fates, groups: () => commits.map(({ group }) => group) }
}

/** Runs all pending promise callbacks and due timers, without advancing time. */
export const runPending = () => vi.advanceTimersByTimeAsync(0)
