import { setImmediate as yieldToOthers } from 'node:timers/promises'
import type { SessionPacket } from '../aedes-internals.ts'
import { copyOf } from './queued-messages.ts'
import { createTopicMatch } from './topic-match.ts'

/** The approximate memory of a retained message in addition to its topic and payload. */
const MESSAGE_BYTES = 300
/** After so many topics a search lets other work run. */
const TOPICS_PER_STEP = 500

export type RetainedLimits = { countMax: number; maxBytes: number }

/**
 * The last retained message of each topic, in memory. At a bound, a message for a further topic is
 * not retained, and neither is a message that needs more room than its predecessor: the retained
 * messages of other topics stay.
 */
export function createRetainedMessages({ countMax, maxBytes }: RetainedLimits) {
  const byTopic = new Map<string, SessionPacket>()
  let bytes = 0
  /** The searches run one after the other, so that many cannot take all the time. */
  let lastSearch: Promise<unknown> = Promise.resolve()

  const search = async (filters: string[]): Promise<SessionPacket[]> => {
    const matches = createTopicMatch(filters)
    const found: SessionPacket[] = []
    let untilYield = TOPICS_PER_STEP
    for (const [topic, packet] of byTopic) {
      if (matches(topic)) found.push(packet)
      if (--untilYield > 0) continue
      untilYield = TOPICS_PER_STEP
      await yieldToOthers()
    }
    return found
  }

  return {
    get count() {
      return byTopic.size
    },
    get bytes() {
      return bytes
    },
    /**
     * Stores a message, or with an empty payload removes the message of the topic. Returns the
     * bound at which the message is not stored, or null.
     */
    store(packet: SessionPacket): keyof RetainedLimits | null {
      const { topic = '', payload, qos = 0 } = packet
      const previous = byTopic.get(topic)
      const previousBytes = previous ? sizeOf(previous) : 0
      if ((payload?.length ?? 0) === 0) {
        byTopic.delete(topic)
        bytes -= previousBytes
        return null
      }
      const change = sizeOf(packet) - previousBytes
      if (!previous && byTopic.size >= countMax) return 'countMax'
      if (change > 0 && bytes + change > maxBytes) return 'maxBytes'
      byTopic.set(topic, { cmd: 'publish', topic, qos, retain: true, payload: copyOf(payload) })
      bytes += change
      return null
    },
    /** The retained messages that match one of the topic filters; each message once. */
    find(filters: string[]): Promise<SessionPacket[]> {
      const found = lastSearch.then(() => search(filters))
      lastSearch = found
      return found
    },
  }
}

const sizeOf = ({ topic = '', payload }: SessionPacket) =>
  MESSAGE_BYTES + topic.length + (payload?.length ?? 0)
