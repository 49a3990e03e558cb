import { pause } from '../../config/process/pause.ts'
import { CannotConsume, type ConsumerGroup, type Membership } from '../ports/consumer-group.ts'
import type { EventStream } from '../ports/event-stream.ts'
import { type Assignment, requireEqualPartitionCounts, startAssignment } from './assignment.ts'
import { describeError, isNotAuthorized } from './errors.ts'

const AGAIN_MS = 1000
/** Kafka's clients beat three times a session; more often, and others take over sooner. */
const BEAT_MAX_MS = 1000

/** As they lie in Kafka; in memory they are twenty times as many, and two such readings wait. */
export const PARTITION_MAX_BYTES = 32 * 1024
/** Of all partitions of a broker together. */
export const RESPONSE_MAX_BYTES = 96 * 1024
/** By what members of one group, through whatever library, know that they share out alike. */
export const ASSIGNER_NAME = 'sluice-together'
/** What was done is committed so often. */
export const COMMIT_INTERVAL_MS = 2000
/** How long a broker waits for something to give. */
export const FETCH_MAX_WAIT_MS = 200

/** How often a member says that it is alive, in ms. */
export const heartbeatIntervalMs = (sessionMs: number) => Math.min(BEAT_MAX_MS, sessionMs / 3)

/**
 * Is a member, through one library, until the signal aborts; then it leaves. Begins each sharing
 * out. Rejects when it is none any more, or cannot become one.
 */
export type RunMember = (
  begin: (partitions: readonly number[]) => Assignment,
  signal: AbortSignal,
) => Promise<void>

/** Consumer groups, by what is a member through one library; one `Member` for each that joins. */
export function createConsumerGroup(
  stream: EventStream,
  openMember: (membership: Membership) => RunMember,
): ConsumerGroup {
  return {
    async consume(membership, asked) {
      const { topics, onUnavailable } = membership
      const failing = new AbortController()
      const signal = AbortSignal.any([asked, failing.signal])
      const failures: unknown[] = []
      const onFailure = (error: unknown) => {
        failures.push(error)
        failing.abort()
      }
      let over = Promise.resolve()
      let share: Assignment | null = null
      const end = () => share?.stop()
      signal.addEventListener('abort', end, { once: true })
      const begin = (partitions: readonly number[]) => {
        over = end() ?? over
        share = startAssignment({ ...membership, stream, partitions, before: over, onFailure })
        return share
      }
      const member = openMember(membership)
      try {
        while (!signal.aborted) {
          try {
            await requireTopics(stream, topics)
            await member(begin, signal)
          } catch (error) {
            if (error instanceof CannotConsume) throw error
            if (isNotAuthorized(error))
              throw new CannotConsume(describeError(error), { cause: error })
            if (!signal.aborted) onUnavailable?.(describeError(error))
            void end()
            await pause(AGAIN_MS, signal)
          }
        }
      } finally {
        await end()
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}

async function requireTopics(stream: EventStream, topics: readonly string[]): Promise<void> {
  const stretches = await stream.topicOffsets(topics)
  const missing = topics.filter(topic => !stretches.has(topic))
  if (missing.length > 0) {
    throw new CannotConsume(
      `Kafka has no topic ${missing.join(', ')}, or does not show it to us: create it ` +
        '(./sluice doctor --create-topics), or grant READ and DESCRIBE',
    )
  }
  requireEqualPartitionCounts(stretches)
}
