import type { TopicConfig } from './topic-settings.ts'

/** A clock before this time (ms since 1970) is wrong: this code was written later. */
export const EARLIEST_VALID_TIME_MS = Date.UTC(2025, 0, 1)

/**
 * Why records must not be written to a topic, with the cure; or null. Kafka would delete records
 * that it just acknowledged: a compacted topic keeps only the last record of each key, and a topic
 * with the sender's time (CreateTime) deletes records whose time is older than its retention.
 * `lagMs` is how far the sender's time of a record may be behind Kafka's clock.
 */
export function retentionFault(topic: string, config: TopicConfig, lagMs: number): string | null {
  const { cleanupPolicy, timestampType, retentionMs } = config
  const cure = (entry: string) =>
    `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config ${entry}`
  if (cleanupPolicy.split(',').includes('compact')) {
    const reason = `keeps only the last record of each key (cleanup.policy=${cleanupPolicy})`
    return `${topic} ${reason}. ${cure('cleanup.policy=delete')}`
  }
  if (timestampType !== 'CreateTime' || retentionMs === null || lagMs <= retentionMs) return null
  const reason =
    `keeps records by the sender's time (CreateTime) for ${formatDuration(retentionMs)}, but the ` +
    `oldest waiting event is ${formatDuration(lagMs)} old: Kafka would delete it at once`
  return `${topic} ${reason}. ${cure('message.timestamp.type=LogAppendTime')}`
}

/**
 * By how many ms the time of an event may be behind Kafka's clock. A negative age says that the
 * local clock was set back.
 */
export function timestampLagMs(oldestAgeMs: number, nowMs: number): number {
  return Math.max(Math.abs(oldestAgeMs), EARLIEST_VALID_TIME_MS - nowMs)
}

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
