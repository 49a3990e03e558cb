import { type EventSink, SinkUnavailable } from './forwarder.ts'
import { describe } from './kafka/errors.ts'
import type { Keeping, TopicSettings } from './kafka/topic-settings.ts'

const LOOK_EVERY_MS = 5 * 60_000
/** A clock that shows an earlier time is wrong: this was written later. */
export const WRITTEN_MS = Date.UTC(2025, 0, 1)

/**
 * What keeps a topic from being written to, with the cure, or null: Kafka would delete what it
 * takes there, because it keeps the last record of a key alone, or because it keeps records by the
 * sender's time and for less than `lagMs`, by which that time may lie behind.
 */
export function keepingFault(topic: string, keeping: Keeping, lagMs: number): string | null {
  const { cleanupPolicy, timestampType, retentionMs } = keeping
  const cure = (setting: string) =>
    `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config ${setting}`
  if (cleanupPolicy.split(',').includes('compact')) {
    const reason = `keeps the last record of each key alone (cleanup.policy=${cleanupPolicy})`
    return `${topic} ${reason}. ${cure('cleanup.policy=delete')}`
  }
  if (timestampType !== 'CreateTime' || retentionMs === null || lagMs <= retentionMs) return null
  const reason =
    `keeps records by the sender's time (CreateTime) for ${span(retentionMs)}, and what waits here ` +
    `is ${span(lagMs)} old: such a topic deletes what is late at once`
  return `${topic} ${reason}. ${cure('message.timestamp.type=LogAppendTime')}`
}

/**
 * By how much the time of what is sent may lie behind Kafka's, in ms: an age below 0 says that the
 * clock was set back.
 */
export function lagMs(oldestAgeMs: number, nowMs: number): number {
  return Math.max(Math.abs(oldestAgeMs), WRITTEN_MS - nowMs)
}

export type TopicGuardOptions = {
  settingsOf(topic: string): Promise<TopicSettings>
  /** By how much the time of what waits may lie behind Kafka's now. */
  lagMs(): number
  /** Once: nobody lets us look, so it goes on without. */
  onBlind(topic: string): void
  nowMs?: () => number
}

/**
 * Looks at topics, at first contact and then every few minutes, and holds back what Kafka would
 * delete: a sink under guard is unavailable until that is mended.
 */
export function startTopicGuard({ nowMs = Date.now, ...options }: TopicGuardOptions) {
  const seen = new Map<string, { settings: TopicSettings; atMs: number }>()
  let isBlind = false

  const look = async (topic: string) => {
    const settings = await options.settingsOf(topic)
    seen.set(topic, { settings, atMs: nowMs() })
    if (settings.keeping === 'not allowed' && !isBlind) {
      isBlind = true
      options.onBlind(topic)
    }
    return settings
  }
  const faultIn = (topic: string, { keeping }: TopicSettings) =>
    keeping === 'not allowed' ? null : keepingFault(topic, keeping, options.lagMs())
  const faultOf = async (topic: string): Promise<string | null> => {
    const last = seen.get(topic)
    // What is held is looked at whenever it is tried: the back-off is the pause between.
    if (!last || faultIn(topic, last.settings)) return faultIn(topic, await look(topic))
    if (nowMs() - last.atMs >= LOOK_EVERY_MS) {
      last.atMs = nowMs()
      // Nobody waits for this look, and when Kafka is away the send will say so.
      look(topic).catch(() => {})
    }
    return null
  }

  /** The same sink, which takes nothing for a topic that would not keep it. */
  const guarding = <S extends EventSink>(sink: S): S => ({
    ...sink,
    async send(batch) {
      const fault = await faultOf(batch.topic).catch((error: Error) => {
        throw new SinkUnavailable(`${batch.topic}: ${describe(error)}`, { cause: error })
      })
      if (fault !== null) throw new SinkUnavailable(fault)
      return await sink.send(batch)
    },
    setApart(batch) {
      const apart = sink.setApart(batch)
      return { ...apart, sink: guarding(apart.sink) }
    },
  })
  return { guarding }
}

const UNITS = [
  ['days', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const

/** A time as a person reads it, in the largest unit that it has two of. */
export function span(ms: number): string {
  const [name, unitMs] = UNITS.find(([, unit]) => ms >= 2 * unit) ?? ['ms', 1]
  return `${Math.floor(ms / unitMs)} ${name}`
}
