import { once } from 'node:events'
import { pause } from '../../../config/process/pause.ts'
import type { ConsumerGroup, Membership } from '../../ports/consumer-group.ts'
import type { Assignment } from '../assignment.ts'
import type { KafkaOptions } from '../client.ts'
import {
  COMMIT_INTERVAL_MS,
  createConsumerGroup,
  heartbeatIntervalMs,
  type RunMember,
} from '../group.ts'
import { openCluster } from './cluster.ts'
import { openCoordinator } from './coordinator.ts'
import { readAssignment } from './fetch-loop.ts'
import { createGroupMember, type GroupMember, type JoinResult } from './membership.ts'
import { createEventStream } from './stream.ts'

/** Who shares out looks so often whether topics have got more partitions. */
const COUNT_EVERY_MS = 60_000

/** Consumer groups on @platformatic/kafka's protocol. */
export function createGroup(options: KafkaOptions): ConsumerGroup {
  return createConsumerGroup(createEventStream(options), membership => {
    // Known by its id, a member that comes back need not wait until it is taken for dead.
    const known = { id: '' }
    return (begin, signal) => beMember(options, membership, known, begin, signal)
  })
}

async function beMember(
  options: KafkaOptions,
  membership: Membership,
  known: { id: string },
  begin: Parameters<RunMember>[0],
  signal: AbortSignal,
): Promise<void> {
  const { topics, onUnavailable = () => {} } = membership
  await using cluster = openCluster(options)
  await using coordinator = openCoordinator(options, membership.groupId, membership.sessionMs)
  const member = createGroupMember(coordinator, membership, known)
  const countPartitions = async () => {
    const counts: number[] = []
    for (const topic of topics) counts.push((await cluster.leadersOf(topic)).count)
    return Math.min(...counts)
  }
  const over = new AbortController()
  const aborted = once(signal, 'abort', { signal: over.signal }).then(NOTHING, NOTHING)
  try {
    while (!signal.aborted) {
      const sharing = await Promise.race([member.join(countPartitions), aborted])
      if (!sharing) break
      const share = begin(sharing.partitions)
      await Promise.race([
        readAssignment(cluster, topics, share, onUnavailable),
        stay(member, membership, share, () => isCountedAnew(sharing, countPartitions)),
        aborted,
      ])
      await share.commit(member.commit).catch(NOTHING)
      void share.stop()
    }
    await member.leave().catch(NOTHING)
  } finally {
    over.abort()
  }
}

const NOTHING = () => null

/** Is a member until it has to join again. Rejects when nobody has heard of it for a session. */
async function stay(
  member: GroupMember,
  { sessionMs }: Membership,
  share: Assignment,
  isOutdated: () => Promise<boolean>,
): Promise<void> {
  const { signal } = share
  let heardAtMs = performance.now()
  let committedAtMs = heardAtMs
  let countedAtMs = heardAtMs
  while (!signal.aborted) {
    await pause(heartbeatIntervalMs(sessionMs), signal)
    if (signal.aborted) return
    const nowMs = performance.now()
    try {
      if (!(await member.heartbeat())) return
      heardAtMs = nowMs
      if (nowMs - committedAtMs > COMMIT_INTERVAL_MS) {
        committedAtMs = nowMs
        await share.commit(member.commit)
      }
      if (nowMs - countedAtMs > COUNT_EVERY_MS) {
        countedAtMs = nowMs
        if (await isOutdated()) return
      }
    } catch (error) {
      if (performance.now() - heardAtMs > sessionMs) throw error
    }
  }
}

async function isCountedAnew({ partitionCount }: JoinResult, count: () => Promise<number>) {
  return partitionCount !== null && partitionCount !== (await count())
}
