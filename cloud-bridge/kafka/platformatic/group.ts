import { once } from 'node:events'
import { pause } from '../../../config/process/pause.ts'
import type { ConsumerGroup, Membership } from '../../ports/consumer-group.ts'
import type { Assignment } from '../assignment.ts'
import type { KafkaOptions } from '../client.ts'
import { describeError } from '../errors.ts'
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

/** How often the group leader checks whether the topics have got more partitions. */
const PARTITION_CHECK_INTERVAL_MS = 60_000

/** Consumer groups over the protocol of @platformatic/kafka. */
export function createGroup(options: KafkaOptions): ConsumerGroup {
  return createConsumerGroup(createEventStream(options), options, membership => {
    // A member that rejoins under its id need not wait until its old session expires.
    const identity = { memberId: '' }
    return (onRebalance, signal) => runMember(options, membership, identity, onRebalance, signal)
  })
}

async function runMember(
  options: KafkaOptions,
  membership: Membership,
  identity: { memberId: string },
  onRebalance: Parameters<RunMember>[0],
  signal: AbortSignal,
): Promise<void> {
  const { topics, groupId, sessionMs, onUnavailable = () => {} } = membership
  await using cluster = openCluster(options)
  await using coordinator = openCoordinator(options, groupId, sessionMs)
  const member = createGroupMember(coordinator, membership, identity)
  const countPartitions = async () => {
    const counts: number[] = []
    for (const topic of topics) counts.push((await cluster.leadersOf(topic)).count)
    return Math.min(...counts)
  }
  const ended = new AbortController()
  const aborted = once(signal, 'abort', { signal: ended.signal }).then(toNull, toNull)
  try {
    while (!signal.aborted) {
      const joined = await Promise.race([member.join(countPartitions), aborted])
      if (!joined) break
      const assignment = onRebalance(joined.partitions)
      const isOutdated = () => hasNewPartitions(joined, countPartitions)
      await Promise.race([
        readAssignment(cluster, topics, assignment, error =>
          onUnavailable(describeError(error, options.brokers)),
        ),
        keepMembership(member, membership, assignment, isOutdated),
        aborted,
      ])
      await assignment.commit(member.commit).catch(toNull)
      void assignment.stop()
    }
    await member.leave().catch(toNull)
  } finally {
    ended.abort()
  }
}

const toNull = () => null

/**
 * Sends heartbeats and commits until the member has to join again. Rejects when the coordinator has
 * not responded for one session.
 */
async function keepMembership(
  member: GroupMember,
  { sessionMs }: Membership,
  assignment: Assignment,
  isOutdated: () => Promise<boolean>,
): Promise<void> {
  const { signal } = assignment
  let respondedAtMs = performance.now()
  let committedAtMs = respondedAtMs
  let checkedAtMs = respondedAtMs
  while (!signal.aborted) {
    await pause(heartbeatIntervalMs(sessionMs), signal)
    if (signal.aborted) return
    const nowMs = performance.now()
    try {
      if (!(await member.heartbeat())) return
      respondedAtMs = nowMs
      if (nowMs - committedAtMs > COMMIT_INTERVAL_MS) {
        committedAtMs = nowMs
        await assignment.commit(member.commit)
      }
      if (nowMs - checkedAtMs > PARTITION_CHECK_INTERVAL_MS) {
        checkedAtMs = nowMs
        if (await isOutdated()) return
      }
    } catch (error) {
      if (performance.now() - respondedAtMs > sessionMs) throw error
    }
  }
}

async function hasNewPartitions({ partitionCount }: JoinResult, count: () => Promise<number>) {
  return partitionCount !== null && partitionCount !== (await count())
}
