import type { TopicConfig } from './topic-settings.ts'

/** A clock that shows an earlier time is wrong: this was written later. */
export const EARLIEST_VALID_TIME_MS = Date.UTC(2025, 0, 1)

/**
 * What keeps a topic from being written to, with the cure, or null: Kafka would delete what it
 * takes there, because it keeps the last record of a key alone, or because it keeps records by the
 * sender's time and for less than `lagMs`, by which that time may lie behind.
 */
export function retentionFault(topic: string, keeping: TopicConfig, lagMs: number): string | null {
  const { cleanupPolicy, timestampType, retentionMs } = keeping
  const cure = (setting: string) =>
    `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config ${setting}`
  if (cleanupPolicy.split(',').includes('compact')) {
    const reason = `keeps the last record of each key alone (cleanup.policy=${cleanupPolicy})`
    return `${topic} ${reason}. ${cure('cleanup.policy=delete')}`
  }
  if (timestampType !== 'CreateTime' || retentionMs === null || lagMs <= retentionMs) return null
  const reason =
    `keeps records by the sender's time (CreateTime) for ${formatDuration(retentionMs)}, and what waits here ` +
    `is ${formatDuration(lagMs)} old: such a topic deletes what is late at once`
  return `${topic} ${reason}. ${cure('message.timestamp.type=LogAppendTime')}`
}

/**
 * By how much the time of what is sent may lie behind Kafka's, in ms: an age below 0 says that the
 * clock was set back.
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

/** A time as a person reads it, in the largest unit that it has two of. */
export function formatDuration(ms: number): string {
  const [name, unitMs] = UNITS.find(([, unit]) => ms >= 2 * unit) ?? ['ms', 1]
  return `${Math.floor(ms / unitMs)} ${name}`
}
