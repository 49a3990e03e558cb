import { expiresBySenderTime, retentionFault } from '../kafka/topic-retention.ts'
import type { TopicSettings } from '../kafka/topic-settings.ts'
import { type EventSink, SinkUnavailable } from '../ports/event-sink.ts'

const CHECK_EVERY_MS = 5 * 60_000
/**
 * From the first answer of Kafka on, the first events for a topic with CreateTime wait at most this
 * long until the clocks are compared. The gateway writes a heartbeat to the ledger every ten
 * seconds.
 */
const COMPARE_CLOCKS_WITHIN_MS = 15_000

export type TopicGuardOptions = {
  settingsOf(topic: string): Promise<TopicSettings>
  /** How far the clock of this machine is known to be behind Kafka's clock, in ms. */
  lagMs(): number
  /**
   * Whether events for this topic need not wait until the clocks are compared: Kafka has said its
   * time, cannot say its time, or says the time with the acknowledgement of this topic.
   */
  isKafkaTimeKnown(topic: string): boolean
  /**
   * Called once when the right to read topic settings is missing; the topics are then not checked.
   */
  onCheckNotAllowed(topic: string): void
  monotonicMs?: () => number
}

/**
 * Checks the settings of each topic at the first send to the topic and then every five minutes.
 * Prevents the sending of events that Kafka's retention would delete at once: a guarded sink throws
 * SinkUnavailable until the topic's settings are fixed.
 */
export function createTopicGuard({
  monotonicMs = () => performance.now(),
  ...options
}: TopicGuardOptions) {
  let answeredAtMs: number | null = null
  const checks = new Map<string, { settings: TopicSettings; atMs: number }>()
  let isNotAllowed = false

  const check = async (topic: string) => {
    const settings = await options.settingsOf(topic)
    const atMs = monotonicMs()
    answeredAtMs ??= atMs
    checks.set(topic, { settings, atMs })
    if (settings.config === 'not allowed' && !isNotAllowed) {
      isNotAllowed = true
      options.onCheckNotAllowed(topic)
    }
    return settings
  }
  const faultIn = (topic: string, { config }: TopicSettings) => {
    if (config === 'not allowed') return null
    const isWaiting = monotonicMs() - (answeredAtMs ?? 0) < COMPARE_CLOCKS_WITHIN_MS
    if (isWaiting && expiresBySenderTime(config) && !options.isKafkaTimeKnown(topic)) {
      return `${topic} keeps records by the sender's time (CreateTime): ${COMPARING}`
    }
    return retentionFault(topic, config, options.lagMs())
  }
  const faultOf = async (topic: string): Promise<string | null> => {
    const last = checks.get(topic)
    // A faulty topic is checked at every attempt: the back-off paces the attempts.
    if (!last || faultIn(topic, last.settings)) return faultIn(topic, await check(topic))
    if (monotonicMs() - last.atMs >= CHECK_EVERY_MS) {
      last.atMs = monotonicMs()
      // The send does not wait for this check, and reports an unavailable Kafka itself.
      check(topic).catch(() => {})
    }
    return null
  }

  /**
   * Wraps a sink. `send` throws SinkUnavailable for a topic whose retention would delete the
   * events, and for a topic whose settings cannot be read before its first send.
   */
  const guard = <S extends EventSink>(sink: S): S => ({
    ...sink,
    async send(batch) {
      const fault = await faultOf(batch.topic).catch((error: Error) => {
        throw new SinkUnavailable(settingsUnknown(batch.topic, error), { cause: error })
      })
      if (fault !== null) throw new SinkUnavailable(fault)
      return await sink.send(batch)
    },
    isolate(batch) {
      const isolated = sink.isolate(batch)
      return { ...isolated, sink: guard(isolated.sink) }
    },
  })
  return { guard }
}

const COMPARING =
  'the first events wait up to 15 s until the clock of this machine is compared with the clock ' +
  'of Kafka'

const settingsUnknown = (topic: string, error: Error) =>
  `the settings of topic ${topic} cannot be read: ${error.message}`
