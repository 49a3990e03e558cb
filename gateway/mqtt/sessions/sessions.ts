import { Readable } from 'node:stream'
import type { Config } from '../../../config/config.ts'
import type { Client, Sessions } from '../aedes-internals.ts'
import type { BoundReports } from '../bounds/bound-reports.ts'
import { createQos2Sessions, type UnreleasedMessages } from '../qos2-sessions.ts'
import { createRetainedMessages } from './retained-messages.ts'
import { createRetainedStreams } from './retained-streams.ts'
import { createSessionQueues } from './session-queues.ts'
import { createSessionTable, type Subscription } from './session-table.ts'

type Limits = Config['gateway']['mqtt']

export type SessionsOptions = {
  limits: Limits
  unreleased: UnreleasedMessages
  boundReports: BoundReports
  isConnected(client: string): boolean
  /** Stops reading from a client until the returned function is called. */
  holdReads(client: Client): () => void
}

/** What the broker keeps in memory: numbers, and bytes as they count towards the bounds. */
export type BrokerMemory = Record<
  | 'sessions'
  | 'subscriptions'
  | 'retainedMessages'
  | 'retainedBytes'
  | 'queuedMessages'
  | 'queuedBytes',
  number
>

export type BrokerSessions = ReturnType<typeof createSessions>

/**
 * The sessions of the broker: aedes' persistence in memory, with a bound on everything that clients
 * can make grow. All of it is lost at a restart, except the QoS 2 messages between PUBLISH and
 * PUBREL, which are in the outbox. A session whose queue is full gets no message until its client
 * connects, so that an abandoned session costs no time.
 */
export function createSessions(options: SessionsOptions) {
  const { limits, boundReports, isConnected } = options
  const report = (key: keyof Limits, consequence: string, client: string | null) =>
    boundReports.report({
      ...{ key: `gateway.mqtt.${key}`, value: Number(limits[key]), consequence, client },
    })
  const { retainedMax, retainedMaxBytes, queuedMessagesMax, queuedMaxBytes, sessionsMax } = limits
  const retained = createRetainedMessages({ countMax: retainedMax, maxBytes: retainedMaxBytes })
  const { holdReads } = options
  const retainedStreams = createRetainedStreams({ find: retained.find, holdReads })
  const table = createSessionTable({
    ...{ limits, isConnected, hasQueue: client => queued.has(client) },
    onBound: (key, client, consequence) => report(key, consequence, client),
    // Through the persistence, so that what wraps the persistence forgets the session, too.
    onDiscarded: client => void persistence.cleanSubscriptions({ id: client }),
  })
  const persistence = createQos2Sessions(options.unreleased, limits)
  const matching = matchingOf(persistence)
  const queues = createSessionQueues({
    limits: { perSessionMax: queuedMessagesMax, maxBytes: queuedMaxBytes, sessionsMax },
    ...{ matching, isConnected },
    onDropped: (client, isQueueFull) => {
      const key = isQueueFull ? 'queuedMessagesMax' : 'queuedMaxBytes'
      report(key, 'a message is dropped for a session whose subscriber does not fetch', client)
    },
  })
  const { queued, enqueue } = queues
  const resume = (client: string) => queues.resume(client, table.subscriptionsOf(client))

  const bounded: Partial<Sessions> = {
    async storeRetained(packet) {
      const bound = retained.store(packet)
      if (bound === null) return
      const key = bound === 'countMax' ? 'retainedMax' : 'retainedMaxBytes'
      report(key, 'a message is stored as a reading and not retained', packet.clientId ?? null)
    },
    createRetainedStreamCombi: retainedStreams.open,
    // aedes calls this for each subscription of a SUBSCRIBE, each time with all of them.
    addSubscriptions: ({ id }) => matching.addSubscriptions({ id }, table.takeAdded(id!)),
    async removeSubscriptions({ id }, topics) {
      table.unsubscribe(id!, topics)
      await matching.removeSubscriptions({ id }, topics)
    },
    async subscriptionsByClient({ id }) {
      await resume(id!)
      return table.subscriptionsOf(id!)
    },
    async cleanSubscriptions({ id }) {
      table.forget(id!)
      await queues.drop(id!)
    },
    outgoingEnqueue: async ({ clientId }, packet) => enqueue([clientId], packet),
    outgoingEnqueueCombi: async (subscriptions, packet) =>
      enqueue(
        subscriptions.map(({ clientId }) => clientId),
        packet,
      ),
    outgoingUpdate: async (client, packet) => queued.update(client, packet),
    outgoingClearMessageId: async (client, packet) => queued.remove(client, packet),
    outgoingStream: ({ id }) => Readable.from(queued.of(id!)),
  }
  return {
    persistence: Object.assign(persistence, bounded),
    /** Sessions, subscriptions, retained messages and queued messages, with their bytes. */
    memory: (): BrokerMemory => ({
      ...{ sessions: table.sessions(), subscriptions: table.subscriptions() },
      ...{ retainedMessages: retained.count, retainedBytes: retained.bytes },
      ...{ queuedMessages: queued.count, queuedBytes: queued.bytes() },
    }),
    /** Whether a client may have a further subscription. */
    subscribe: (client: Client, subscription: Subscription) =>
      table.subscribe(client as Client & { clean: boolean }, subscription),
    onSubscribed: retainedStreams.onSubscribed,
    onUnsubscribed: (topics: string[], client: Client) => table.unsubscribe(client.id, topics),
    onConnected: (client: Client) => resume(client.id),
    onDisconnected: (client: Client) => table.leave(client.id),
  }
}

/** The members of aedes' own persistence that match topics with subscriptions. */
function matchingOf(sessions: Sessions) {
  const { addSubscriptions, removeSubscriptions, cleanSubscriptions } = sessions
  return {
    addSubscriptions: addSubscriptions.bind(sessions),
    removeSubscriptions: removeSubscriptions.bind(sessions),
    cleanSubscriptions: cleanSubscriptions.bind(sessions),
  }
}
