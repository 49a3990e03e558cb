import { Readable } from 'node:stream'
import {
  type DeliveredPacket,
  type DeliveringClient,
  matchEmptyLevels,
  overrideDelivery,
  type QueuedPacket,
  type QueueSubscription,
  type SessionQueues,
} from './aedes-delivery.ts'
import { matchesFilter } from './mqtt-text.ts'

/**
 * How many clients are remembered whose session has neither a subscription nor a message.
 * The oldest is forgotten first, and its client then learns that there was no session.
 */
const EMPTY_SESSIONS_MAX = 10_000

/** Stands for the subscriptions of a session that has none. No client is subscribed to it. */
export const EMPTY_SESSION = Object.freeze({ topic: '$session', qos: 0 })

/**
 * Marks a stored PUBREL in the place of a broker's id, so that aedes' persistence does not take one
 * stored PUBREL for another.
 */
const PUBREL = 'pubrel'

export type DeliveryRules = ReturnType<typeof createDeliveryRules>

/**
 * What MQTT 3.1.1 asks of the delivery to subscribers and aedes does otherwise. `addSessions` makes
 * the rules apply to sessions, and `addClient` to a connection.
 *
 * - A message has the QoS of its PUBLISH, or the highest QoS of the matching subscriptions if that
 *   is less [MQTT-3.3.5-1] [MQTT-3.8.4-6].
 * - A client receives a message once, however many of its subscriptions match [MQTT-3.3.5-1].
 * - DUP is set if and only if the message was sent before [MQTT-3.3.1-1] [MQTT-3.3.1-3].
 * - A queued message has no RETAIN flag [MQTT-3.3.1-9].
 * - Nothing precedes CONNACK [MQTT-3.2.0-1], and queued messages precede newer ones [MQTT-4.6.0-6].
 * - Session Present is true for a session without subscriptions, too [MQTT-3.2.2-2].
 */
export function createDeliveryRules() {
  matchEmptyLevels()
  /** By client id: how many messages were queued while the queue is being sent. */
  const sendingQueues = new Map<string, { queued: number }>()
  /** Messages of the queue that were sent on a connection, by their number in this broker. */
  const sentFromQueue = new WeakMap<object, Set<number>>()

  return {
    /** `sessions` must be created after these rules. */
    addSessions<S extends object>(memory: S): S {
      const sessions = memory as unknown as SessionQueues
      limitQueuedQos(sessions, clientId => {
        const sending = sendingQueues.get(clientId)
        if (sending) sending.queued++
      })
      keepOrder(sessions)
      keepPubrels(sessions)
      rememberEmptySessions(sessions)
      const { outgoingStream } = sessions
      sessions.outgoingStream = client => {
        const sent = new Set<number>()
        sentFromQueue.set(client, sent)
        const read = () => outgoingStream.call(sessions, client)
        return Readable.from(sendQueue(client.id!, read, sent, sendingQueues))
      }
      return memory
    },

    addClient(client: DeliveringClient): void {
      let lastNumber = 0
      overrideDelivery(client, packet => {
        // A message for a session is in its queue already, and the queue is sent after CONNACK.
        const isQueued = packet.qos > 0 && !client.clean && packet.brokerId !== null
        if (!client.connackSent || (isQueued && sendingQueues.has(client.id!))) return null
        const { brokerCounter: number, brokerId } = packet
        if (brokerId !== null && number !== undefined) {
          if (number === lastNumber || sentFromQueue.get(client)?.delete(number)) return null
          lastNumber = number
        }
        const qos = grantedQos(client, packet)
        // Without a broker's id, aedes does not compare the message with the last message.
        return { ...packet, qos, dup: false, brokerId: null }
      })
    },
  }
}

/** The QoS of a message, or the highest QoS of the matching subscriptions if that is less. */
function grantedQos({ subscriptions }: DeliveringClient, { topic, qos: most }: DeliveredPacket) {
  let granted = 0
  for (const filter in subscriptions) {
    if (granted >= most) break
    const { qos } = subscriptions[filter]!
    if (qos > granted && matchesFilter(filter, topic)) granted = qos
  }
  return Math.min(granted, most)
}

/** Queues a message once for each client, with the QoS of the delivery and without flags. */
function limitQueuedQos(sessions: SessionQueues, onQueued: (clientId: string) => void): void {
  const { outgoingEnqueueCombi } = sessions
  sessions.outgoingEnqueueCombi = async (subscriptions, packet) => {
    const byClient = new Map<string, QueueSubscription>()
    for (const subscription of subscriptions) {
      const other = byClient.get(subscription.clientId)
      if (!other || other.qos < subscription.qos) byClient.set(subscription.clientId, subscription)
    }
    const queuing = [...byClient.values()].map(subscription => {
      const qos = Math.min(packet.qos, subscription.qos)
      const queued = { ...packet, qos, retain: false, dup: false }
      onQueued(subscription.clientId)
      return outgoingEnqueueCombi.call(sessions, [subscription], queued)
    })
    await Promise.all(queuing)
  }
}

/**
 * Sends the queue of a session, and then the messages that were queued meanwhile, so that no newer
 * message overtakes a queued one. `sent` gets the numbers of the messages that a session had not
 * sent before.
 */
async function* sendQueue(
  clientId: string,
  read: () => AsyncIterable<QueuedPacket>,
  sent: Set<number>,
  sendingQueues: Map<string, { queued: number }>,
) {
  const sending = { queued: 0 }
  sendingQueues.set(clientId, sending)
  const seen = new Set<QueuedPacket>()
  try {
    for (let queued = -1; queued !== sending.queued; ) {
      queued = sending.queued
      for await (const packet of read()) {
        if (seen.has(packet)) continue
        seen.add(packet)
        const wasSent = packet.messageId !== undefined
        if (!wasSent && packet.brokerCounter) sent.add(packet.brokerCounter)
        yield packet.cmd === 'publish' && wasSent ? { ...packet, dup: true } : packet
      }
    }
  } finally {
    if (sendingQueues.get(clientId) === sending) sendingQueues.delete(clientId)
  }
}

/**
 * Makes a retained message take as long as any other. Otherwise the next message would overtake
 * it, because aedes waits until the message is stored, and it is stored at once.
 */
function keepOrder(sessions: SessionQueues): void {
  const { storeRetained } = sessions
  sessions.storeRetained = packet => {
    storeRetained.call(sessions, packet).then(
      () => {},
      () => {},
    )
    // biome-ignore lint/suspicious/noThenProperty: aedes calls it at once, as for other messages
    return { then: onStored => onStored() }
  }
}

/** Keeps the PUBRELs of a session apart, and accepts the PUBREC of an unknown message. */
function keepPubrels(sessions: SessionQueues): void {
  const { outgoingUpdate } = sessions
  sessions.outgoingUpdate = async (client, packet) => {
    if (packet.cmd !== PUBREL) return outgoingUpdate.call(sessions, client, packet)
    const stored = Object.assign(packet, { brokerId: PUBREL, brokerCounter: packet.messageId })
    // A client that sends PUBREC for an unknown message needs a PUBREL all the same.
    await outgoingUpdate.call(sessions, client, stored).catch(() => {})
  }
}

function rememberEmptySessions(sessions: SessionQueues): void {
  const known = new Set<string>()
  const { subscriptionsByClient, cleanSubscriptions } = sessions
  sessions.subscriptionsByClient = async client => {
    const subscriptions = await subscriptionsByClient.call(sessions, client)
    const isKnown = known.delete(client.id!)
    known.add(client.id!)
    for (const oldest of known) {
      if (known.size <= EMPTY_SESSIONS_MAX) break
      known.delete(oldest)
    }
    return isKnown && subscriptions.length === 0 ? [EMPTY_SESSION] : subscriptions
  }
  sessions.cleanSubscriptions = client => {
    known.delete(client.id!)
    return cleanSubscriptions.call(sessions, client)
  }
}
