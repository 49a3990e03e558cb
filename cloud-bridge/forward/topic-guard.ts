import { describeError } from '../kafka/errors.ts'
import { retentionFault } from '../kafka/topic-retention.ts'
import type { TopicSettings } from '../kafka/topic-settings.ts'
import { type EventSink, SinkUnavailable } from '../ports/event-sink.ts'

const LOOK_EVERY_MS = 5 * 60_000

export type TopicGuardOptions = {
  settingsOf(topic: string): Promise<TopicSettings>
  /** By how much the time of what waits may lie behind Kafka's now. */
  lagMs(): number
  /** Once: nobody lets us look, so it goes on without. */
  onCheckNotAllowed(topic: string): void
  nowMs?: () => number
}

/**
 * Looks at topics, at first contact and then every few minutes, and holds back what Kafka would
 * delete: a sink under guard is unavailable until that is mended.
 */
export function createTopicGuard({ nowMs = Date.now, ...options }: TopicGuardOptions) {
  const seen = new Map<string, { settings: TopicSettings; atMs: number }>()
  let isBlind = false

  const look = async (topic: string) => {
    const settings = await options.settingsOf(topic)
    seen.set(topic, { settings, atMs: nowMs() })
    if (settings.keeping === 'not allowed' && !isBlind) {
      isBlind = true
      options.onCheckNotAllowed(topic)
    }
    return settings
  }
  const faultIn = (topic: string, { keeping }: TopicSettings) =>
    keeping === 'not allowed' ? null : retentionFault(topic, keeping, options.lagMs())
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
        throw new SinkUnavailable(`${batch.topic}: ${describeError(error)}`, { cause: error })
      })
      if (fault !== null) throw new SinkUnavailable(fault)
      return await sink.send(batch)
    },
    isolate(batch) {
      const apart = sink.isolate(batch)
      return { ...apart, sink: guarding(apart.sink) }
    },
  })
  return { guarding }
}
