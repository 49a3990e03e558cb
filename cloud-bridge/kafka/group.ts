import { pause } from '../../config/process/pause.ts'
import { CannotConsume, type ConsumerGroup, type Membership } from '../ports/consumer-group.ts'
import type { EventStream } from '../ports/event-stream.ts'
import { type Assignment, requireEqualPartitionCounts, startAssignment } from './assignment.ts'
import type { KafkaOptions } from './client.ts'
import { describeError, isNotAuthorized } from './errors.ts'

const REJOIN_AFTER_MS = 1000
/**
 * Kafka's clients usually send three heartbeats a session. A member learns of a rebalance from the
 * response to a heartbeat, so more frequent heartbeats make a takeover faster.
 */
const HEARTBEAT_MAX_INTERVAL_MS = 1000

/**
 * The limit of one fetch for one partition, in bytes as stored in Kafka. In memory the records take
 * about twenty times as much, and up to two fetches of a partition are in memory.
 */
export const PARTITION_MAX_BYTES = 32 * 1024
/** The limit of one fetch for all partitions of a broker, in bytes as stored in Kafka. */
export const RESPONSE_MAX_BYTES = 96 * 1024
/** The name under which the members of a group, of any client library, agree on co-partitioning. */
export const ASSIGNER_NAME = 'sluice-together'
/** How often processed offsets are committed to Kafka. */
export const COMMIT_INTERVAL_MS = 2000
/** How long a broker may delay the response to a fetch until there are records. */
export const FETCH_MAX_WAIT_MS = 200

/** The time between two heartbeats of a member, in ms. */
export const heartbeatIntervalMs = (sessionMs: number) =>
  Math.min(HEARTBEAT_MAX_INTERVAL_MS, sessionMs / 3)

/**
 * Runs one group membership through a client library until the signal aborts, and then leaves the
 * group. Calls `onRebalance` with the member's partitions after each rebalance. Rejects when the
 * membership is lost or cannot be obtained.
 */
export type RunMember = (
  onRebalance: (partitions: readonly number[]) => Assignment,
  signal: AbortSignal,
) => Promise<void>

/** A ConsumerGroup over a client library; `createMember` is called once per `consume`. */
export function createConsumerGroup(
  stream: EventStream,
  { brokers }: Pick<KafkaOptions, 'brokers'>,
  createMember: (membership: Membership) => RunMember,
): ConsumerGroup {
  return {
    async consume(membership, callerSignal) {
      const { topics, onUnavailable } = membership
      const failing = new AbortController()
      const signal = AbortSignal.any([callerSignal, failing.signal])
      const failures: unknown[] = []
      const onFailure = (error: unknown) => {
        failures.push(error)
        failing.abort()
      }
      let previousStopped = Promise.resolve()
      let assignment: Assignment | null = null
      const stop = () => assignment?.stop()
      signal.addEventListener('abort', stop, { once: true })
      const onRebalance = (partitions: readonly number[]) => {
        previousStopped = stop() ?? previousStopped
        const options = { ...membership, stream, partitions, previousStopped, onFailure }
        assignment = startAssignment(options)
        return assignment
      }
      const runMember = createMember(membership)
      try {
        while (!signal.aborted) {
          try {
            await requireTopics(stream, topics)
            // The signal may have aborted meanwhile; an abort event does not fire a second time.
            if (!signal.aborted) await runMember(onRebalance, signal)
          } catch (error) {
            if (error instanceof CannotConsume) throw error
            if (isNotAuthorized(error)) {
              throw new CannotConsume(describeError(error, brokers), { cause: error })
            }
            if (!signal.aborted) onUnavailable?.(describeError(error, brokers))
            void stop()
            await pause(REJOIN_AFTER_MS, signal)
          }
        }
      } finally {
        await stop()
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}

async function requireTopics(stream: EventStream, topics: readonly string[]): Promise<void> {
  const offsets = await stream.topicOffsets(topics)
  const missing = topics.filter(topic => !offsets.has(topic))
  if (missing.length > 0) {
    throw new CannotConsume(
      `topic ${missing.join(', ')} does not exist or is not visible to this user: create the ` +
        'topic (./sluice doctor --create-topics; for recordings ./sluice import), or grant READ ' +
        'and DESCRIBE',
    )
  }
  requireEqualPartitionCounts(offsets)
}
