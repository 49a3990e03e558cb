import { createRequire } from 'node:module'
import type { Aedes } from 'aedes'
import { parserOf, type SessionClient, type SessionPacket } from './aedes-internals.ts'
import type { PacketHeader } from './packet-rules.ts'

// This file contains every use of an undocumented member of aedes that concerns the delivery to
// subscribers. Each use has a test in test/gateway/mqtt/aedes-delivery.test.ts.

/** A message for a subscriber. A retained message for a new subscription has no `brokerId`. */
export type DeliveredPacket = {
  topic: string
  qos: number
  retain: boolean
  dup: boolean
  brokerId: string | null
  /** The number of the message in this run of the broker. */
  brokerCounter?: number
}

type Deliver = (packet: DeliveredPacket, done: () => void) => void

/** A client as far as the delivery of messages uses it. */
export type DeliveringClient = {
  id: string | null
  clean: boolean
  connackSent: boolean
  subscriptions: Record<string, { qos: number }>
}

/**
 * Calls `choose` for each message that aedes is about to deliver to a client, once for each
 * matching subscription. The message that `choose` returns is delivered with its QoS; for null,
 * nothing is delivered. aedes reads its two functions of delivery at each SUBSCRIBE.
 */
export function overrideDelivery(
  client: DeliveringClient,
  choose: (packet: DeliveredPacket) => DeliveredPacket | null,
): void {
  const internals = client as unknown as { deliver0?: Deliver; deliverQoS?: Deliver }
  const { deliver0, deliverQoS } = internals
  if (typeof deliver0 !== 'function' || typeof deliverQoS !== 'function') {
    throw new Error('this version of aedes has no deliver0 or deliverQoS: QoS cannot be limited')
  }
  const deliver: Deliver = (packet, done) => {
    const chosen = choose(packet)
    if (chosen === null) setImmediate(done)
    else if (chosen.qos === 0) deliver0(chosen, done)
    else deliverQoS(chosen, done)
  }
  internals.deliver0 = deliver
  internals.deliverQoS = deliver
}

/**
 * Makes aedes answer each filter of a SUBSCRIBE, also a filter that occurs twice. aedes would
 * replace the list of filters by a list without repetitions [MQTT-3.8.4-5].
 */
export function keepRepeatedFilters(client: { _parser?: unknown }): void {
  const parser = parserOf(client)
  const parsePayload = parser._parsePayload
  parser._parsePayload = () => {
    const isParsed = parsePayload.call(parser)
    const packet = parser.packet as PacketHeader & { subscriptions?: object[] }
    const { subscriptions } = packet
    if (packet.cmd === 'subscribe' && subscriptions && subscriptions.length > 1) {
      // The setter ignores the list that aedes assigns.
      Object.defineProperty(packet, 'subscriptions', { get: () => subscriptions, set() {} })
    }
    return isParsed
  }
}

/**
 * Makes aedes accept topics of any number of levels. Its search for subscribers throws for more
 * than `matchedLevelsMax` levels, so the caller must keep such topics and filters from it.
 */
export function acceptTopicLevels(aedes: Aedes): void {
  const internals = aedes as unknown as { maxTopicLevels?: number }
  if (internals.maxTopicLevels !== matchedLevelsMax) {
    throw new Error('this version of aedes has another limit of topic levels')
  }
  internals.maxTopicLevels = Number.POSITIVE_INFINITY
}

/** The most levels of a topic or filter for which aedes can search. */
export const matchedLevelsMax = 100

/** The result of storing a retained message: `onStored` is called when the message is stored. */
export type Stored = { then(onStored: () => void, onFailed?: (error: Error) => void): unknown }

/** A subscription of a session, for which a message is queued. */
export type QueueSubscription = { clientId: string; topic: string; qos: number }

/** A message, or a PUBREL, in the queue of a session. `messageId` is set when it was sent. */
export type QueuedPacket = DeliveredPacket & SessionPacket

/**
 * The members of aedes' persistence that store the subscriptions and queues of sessions, and
 * retained messages.
 */
export type SessionQueues = {
  /** Called at CONNECT without a clean session. Session Present is true for a list of any entry. */
  subscriptionsByClient(client: SessionClient): Promise<{ topic: string; qos: number }[]>
  /** Called at CONNECT with a clean session. */
  cleanSubscriptions(client: SessionClient): Promise<void>
  /** aedes only calls `then` of the result. */
  storeRetained(packet: DeliveredPacket): Stored
  /** Queues a message for sessions, before the message is delivered to connected clients. */
  outgoingEnqueueCombi(
    subscriptions: QueueSubscription[],
    packet: DeliveredPacket,
  ): Promise<unknown>
  /** Called after CONNACK. aedes sends what the stream gives. */
  outgoingStream(client: SessionClient): AsyncIterable<QueuedPacket>
  /** Called when a queued message is sent, and with a PUBREL at PUBREC. */
  outgoingUpdate(client: SessionClient, packet: SessionPacket): Promise<unknown>
}

/**
 * Makes `+` match an empty level (section 4.7.1.3) in every persistence that is created afterwards.
 * In aedes itself it does already.
 */
export function matchEmptyLevels(): void {
  const require = createRequire(import.meta.url)
  const { Qlobber } = createRequire(require.resolve('aedes-persistence'))('qlobber')
  // The constructor assigns this member from an option that aedes-persistence does not give.
  Object.defineProperty(Qlobber.prototype, '_match_empty_levels', {
    ...{ configurable: true, get: () => true, set() {} },
  })
}
