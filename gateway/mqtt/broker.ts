import { createServer, type Server, type Socket } from 'node:net'
import {
  Aedes,
  type AedesPublishPacket,
  type Client,
  type ConnectPacket,
  type PublishPacket,
} from 'aedes'
import type { Config } from '../../config/config.ts'
import { listen } from '../../config/process/listener.ts'
import { acceptTopicLevels, type DeliveringClient, matchedLevelsMax } from './aedes-delivery.ts'
import { filterForwarding, forwardOneByOne } from './aedes-forwarding.ts'
import { connectedClients, isConnected, type SessionClient } from './aedes-internals.ts'
import type { BoundReports } from './bounds/bound-reports.ts'
import { type ConnectionBounds, startConnectionBounds } from './bounds/connection-bounds.ts'
import { MessageRefused } from './bounds/connection-faults.ts'
import { type ConnectingClient, createConnectionPlaces } from './bounds/connection-places.ts'
import { type BrokerErrorOptions, reportErrors } from './broker-errors.ts'
import { createDeliveryRules, EMPTY_SESSION } from './delivery-rules.ts'
import { hasControlCharacter } from './mqtt-text.ts'
import type { UnreleasedMessages } from './qos2-sessions.ts'
import { createSessions } from './sessions/sessions.ts'

/** Identifies a QoS 2 message from its PUBLISH until the client releases it with PUBREL. */
export type Qos2Key = { clientId: string; packetId: number }

/**
 * What the broker gives to the writer, in the order of receipt: a message (`receivedAt` in ms since
 * 1970), a QoS 2 release, or the request to forget all QoS 2 messages of a client.
 */
export type Handover =
  | {
      kind: 'message'
      topic: string
      payload: Buffer
      receivedAt: number
      qos2Key: Qos2Key | null
    }
  | { kind: 'release'; qos2Key: Qos2Key }
  | { kind: 'forget'; clientId: string }

/**
 * Resolves when the handover is durable (a message as an event or as a dead letter), in the order
 * of the calls. Rejects when the handover could not be stored. After one rejection, all later
 * handovers of the same sender are rejected too.
 */
export type AcceptHandover = (handover: Handover, sender: object) => Promise<void>

export type BrokerOptions = BrokerErrorOptions & {
  accept: AcceptHandover
  limits: Config['gateway']['mqtt']
  onRefused(clientId: string | null, reason: string): void
  boundReports: BoundReports
  onAcknowledged(latencyMs: number): void
}

type Done = (error?: Error | null) => void

/**
 * How many packets may wait until their CONNECT is answered. A client may send packets at once
 * behind its CONNECT, and the size of a read bounds how many arrive.
 */
const EARLY_PACKETS_MAX = 100_000

/** How long a stop waits until messages in flight are durable and acknowledged. */
const DRAIN_MS = 3000

export type Broker = Awaited<ReturnType<typeof startBroker>>

/**
 * Starts the MQTT 3.1.1 broker and listens. A device gets PUBACK or PUBREC only after `accept` has
 * resolved; when `accept` rejects, the connection is closed without an acknowledgement. Rejects
 * with CannotStart when the server cannot listen on the configured address.
 */
export async function startBroker(options: BrokerOptions) {
  const { limits } = options
  const onTooSlow = (reason: string) => options.onRefused(null, reason)
  const waitingMessages = () => queue.waiting
  const bounds = startConnectionBounds({ ...options, onTooSlow, waitingMessages })
  const places = createConnectionPlaces(limits.connectionsMax, options.boundReports)
  const delivery = createDeliveryRules()
  const sessions = createSessions({
    ...options,
    unreleased: unreleasedMessages(options.accept, bounds),
    isConnected: id => isConnected(aedes, id),
    holdReads: client => bounds.holdReads(client),
  })
  const aedes: Aedes = await Aedes.createBroker({
    authorizeSubscribe: (client, subscription, done) => {
      const isPossible = subscription !== EMPTY_SESSION && isForwardable(subscription.topic)
      const isGranted = isPossible && sessions.subscribe(client, subscription)
      forwarding.isNeeded ||= isGranted
      done(null, isGranted ? subscription : null)
    },
    preConnect: createConnectHook(options, bounds),
    authorizePublish: createPublishHook(options, bounds),
    authorizeForward: forwardHook,
    persistence: delivery.addSessions(sessions.persistence),
    connectTimeout: limits.connectTimeoutMs,
    drainTimeout: limits.drainTimeoutMs,
    maxInflightInbound: limits.qos2InFlightMax,
    queueLimit: EARLY_PACKETS_MAX,
  })
  acceptTopicLevels(aedes)
  const forwarding = createForwarding(aedes)
  const queue = forwardOneByOne(aedes, bounds.backpressure.update)
  reportErrors(aedes, options)
  aedes.on('subscribe', (_, client) => sessions.onSubscribed(client))
  aedes.on('unsubscribe', sessions.onUnsubscribed)
  aedes.on('clientReady', sessions.onConnected)
  aedes.on('clientDisconnect', sessions.onDisconnected)
  const server = createMqttServer(limits, socket => {
    if (!places.makePlace(socket)) return void socket.destroy()
    const client = aedes.handle(socket)
    bounds.add(client, socket)
    delivery.addClient(client as unknown as DeliveringClient)
    places.add(socket, client as unknown as ConnectingClient)
  })
  try {
    await listen(server, 'gateway.mqtt', limits)
  } catch (error) {
    bounds.stop()
    throw error
  }
  server.on('error', options.onError)
  return {
    get connections() {
      return aedes.connectedClients
    },
    /** The ids of all connected clients. */
    get clientIds() {
      return connectedClients(aedes).map(({ id }) => id)
    },
    memory: sessions.memory,
    get isPaused() {
      return bounds.backpressure.isPaused
    },
    /** Bytes in flight and of unfinished packets. */
    get pressureBytes() {
      return bounds.backpressure.pressureBytes()
    },
    /**
     * Stops reading from devices, waits at most DRAIN_MS for messages in flight to become durable
     * and acknowledged, then closes every connection. Publishes no will: the devices did not fail.
     */
    async [Symbol.asyncDispose](): Promise<void> {
      const closed = new Promise(resolve => server.close(resolve))
      await bounds.backpressure.drain(DRAIN_MS)
      bounds.stop()
      for (const client of connectedClients(aedes)) client.will = null
      await new Promise<void>(resolve => aedes.close(() => resolve()))
      // aedes does not know connections that never sent a CONNECT.
      for (const socket of places.sockets) socket.destroy()
      await closed
    },
  }
}

/** Creates the hook that runs before a CONNECT is answered. */
function createConnectHook({ limits, boundReports }: BrokerOptions, bounds: ConnectionBounds) {
  return (
    client: Client,
    packet: ConnectPacket,
    done: (error: Error | null, ok: boolean) => void,
  ) => {
    const { clientId, keepalive = 0, will } = packet
    const willBytes = will ? will.topic.length + will.payload.length : 0
    if (willBytes <= limits.willMaxBytes) {
      return bounds.onConnect(client, clientId, keepalive, () => done(null, true))
    }
    const [key, value] = ['gateway.mqtt.willMaxBytes', limits.willMaxBytes]
    const consequence = 'a client with a larger will is refused'
    boundReports.report({ key, value, consequence, client: clientId })
    done(new Error(`a will of ${willBytes} bytes is larger than ${key} = ${value}`), false)
  }
}

/** Creates the publish hook: the only hook of aedes that runs before PUBACK and PUBREC are sent. */
function createPublishHook(
  { accept, onRefused, onAcknowledged }: BrokerOptions,
  bounds: ConnectionBounds,
) {
  return (client: Client | null, packet: PublishPacket, done: Done) => {
    const refuse = (reason: string) => {
      onRefused(client?.id ?? null, reason)
      done(new MessageRefused(reason))
    }
    const { topic, qos, messageId } = packet
    const qos2Key =
      qos === 2 && client && messageId ? { clientId: client.id, packetId: messageId } : null
    const payload = Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload)
    const removeInFlight = bounds.backpressure.addInFlight(
      client && bounds.connectionOf(client),
      payload.length + topic.length,
    )
    const startMs = performance.now()
    const message = { kind: 'message', topic, payload, receivedAt: Date.now(), qos2Key } as const
    accept(message, client ?? {}).then(
      () => {
        removeInFlight()
        if (qos > 0) onAcknowledged(performance.now() - startMs)
        done()
      },
      (error: Error) => {
        removeInFlight()
        refuse(error.message)
      },
    )
  }
}

/**
 * Hands releases of QoS 2 messages over to the writer. Each counts as in flight until its fate: a
 * PUBREL has four bytes, and needs far more memory while it waits.
 */
function unreleasedMessages(accept: AcceptHandover, bounds: ConnectionBounds): UnreleasedMessages {
  const handOver = async (handover: Handover, client: SessionClient) => {
    const connection = bounds.connectionOf(client as Client)
    const removeInFlight = bounds.backpressure.addInFlight(connection, 0)
    try {
      await accept(handover, client)
    } finally {
      removeInFlight()
    }
  }
  return {
    release: (client, packetId) =>
      handOver({ kind: 'release', qos2Key: { clientId: client.id!, packetId } }, client),
    forget: client => handOver({ kind: 'forget', clientId: client.id! }, client),
  }
}

/** Creates the TCP server; a connection whose peer is gone ends by TCP keepalive. */
function createMqttServer(
  limits: BrokerOptions['limits'],
  onConnection: (socket: Socket) => void,
): Server {
  const options = {
    ...{ highWaterMark: 16 * 1024, noDelay: true },
    ...{ keepAlive: true, keepAliveInitialDelay: limits.tcpKeepaliveMs },
  }
  return createServer(options, onConnection)
}

/**
 * Makes aedes forward messages only once a client has subscribed: most gateways never have a
 * subscriber, and the search for subscribers takes a tenth of the time that a message needs.
 * Retained messages are always passed to aedes, which stores them for later subscribers.
 */
function createForwarding(aedes: Aedes) {
  const forwarding = { isNeeded: false }
  filterForwarding(aedes, (packet, client) => {
    // Topics that begin with $ belong to the broker. A device's message to such a topic becomes a
    // dead letter and is not forwarded.
    const isReserved = Boolean(client) && packet.topic.startsWith('$')
    const isWanted = forwarding.isNeeded || packet.retain
    return isWanted && !isReserved && isForwardable(packet.topic)
  })
  return forwarding
}

/**
 * Whether messages of a topic may be forwarded, and subscribed to. A topic with a control character
 * could end a subscriber, and aedes cannot search for a topic of very many levels.
 */
function isForwardable(topic: string): boolean {
  const levels = topic.split('/', matchedLevelsMax + 1)
  return levels.length <= matchedLevelsMax && !hasControlCharacter(topic)
}

/**
 * Drops a QoS 0 message for a subscriber that does not read, because aedes would make all other
 * subscribers wait.
 */
function forwardHook(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
  return packet.qos === 0 && client.conn.writableNeedDrain ? null : packet
}
