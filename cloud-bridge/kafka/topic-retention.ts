import type { TopicConfig } from './topic-settings.ts'

/** A clock before this time (ms since 1970) is wrong: this code was written later. */
export const EARLIEST_VALID_TIME_MS = Date.UTC(2025, 0, 1)

/**
 * Why records must not be written to a topic, with the cure; or null. Kafka would delete records
 * that it just acknowledged: a compacted topic keeps only the last record of each key, and a topic
 * with the sender's time (CreateTime) deletes records whose time is older than its retention. A
 * record carries the time at which it is sent, so only the clock of the sender matters, never the
 * age of an event. `lagMs` is how far the clock of this machine is behind Kafka's clock.
 */
export function retentionFault(topic: string, config: TopicConfig, lagMs: number): string | null {
  const { cleanupPolicy, retentionMs } = config
  const cure = (entry: string) =>
    `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config ${entry}`
  if (cleanupPolicy.split(',').includes('compact')) {
    const reason = `keeps only the last record of each key (cleanup.policy=${cleanupPolicy})`
    return `${topic} ${reason}. ${cure('cleanup.policy=delete')}`
  }
  if (!expiresBySenderTime(config) || retentionMs === null || lagMs <= retentionMs) return null
  const reason =
    `keeps records by the sender's time (CreateTime) for ${formatDuration(retentionMs)}, but the ` +
    `clock of this machine is ${formatDuration(lagMs)} behind: Kafka would delete what is sent now`
  const append = cure('message.timestamp.type=LogAppendTime')
  return `${topic} ${reason}. Set the clock of this machine, or run ${append}`
}

/**
 * By how many ms the clock of this machine is known to be behind: behind Kafka's clock
 * (`kafkaLagMs`), or before the time at which this program was written.
 */
export function clockLagMs(nowMs: number, kafkaLagMs = 0): number {
  return Math.max(0, kafkaLagMs, EARLIEST_VALID_TIME_MS - nowMs)
}

/** Whether Kafka would delete records of a topic by the time that the sender gives them. */
export const expiresBySenderTime = ({ timestampType, retentionMs }: TopicConfig) =>
  timestampType === 'CreateTime' && retentionMs !== null

const UNITS = [
  ['days', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const

/** A duration for a person, in the largest unit of which the duration has at least two: `36 h`. */
export function formatDuration(ms: number): string {
  const [name, unitMs] = UNITS.find(([, unit]) => ms >= 2 * unit) ?? ['ms', 1]
  return `${Math.floor(ms / unitMs)} ${name}`
}
