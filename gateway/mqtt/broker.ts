import { createServer, type Socket } from 'node:net'
import { Aedes, type AedesPublishPacket, type Client, type PublishPacket } from 'aedes'
import type { Config } from '../../config/config.ts'
import { listen } from '../../config/process/listener.ts'
import { createBackpressure, type MqttConnection } from './backpressure.ts'
import { guardParser } from './packet-guard.ts'
import { createQos2Sessions } from './qos2-sessions.ts'

/** A QoS 2 message is known by its client and packet id until that client releases it. */
export type Qos2Key = { client: string; packet: number }

/** What the broker hands over, in the order in which it came. */
export type Handover =
  | { kind: 'message'; topic: string; payload: Buffer; receivedAt: number; once: Qos2Key | null }
  | { kind: 'release'; once: Qos2Key }
  | { kind: 'forget'; client: string }

/**
 * Resolves when the message is durable (stored or buried), in the order of the calls; rejects when
 * it could not be kept. After one rejection everything later from the same sender rejects too.
 */
export type AcceptHandover = (handover: Handover, sender: object) => Promise<void>

export type BrokerOptions = {
  accept: AcceptHandover
  limits: Config['gateway']['mqtt']
  /** How many QoS 2 messages are stored and not yet released. */
  unreleased: () => number
  onRefused(client: string | null, reason: string): void
  onAcknowledged(latencyMs: number): void
  /** A connection ended by its own fault: malformed, too large, silent, or broken off. */
  onBroken(client: string | null, reason: string): void
}

type Senders = {
  of: WeakMap<Client, MqttConnection>
  pressure: ReturnType<typeof createBackpressure>
}
type Done = (error?: Error | null) => void

/** How long a stop waits for what was read to become durable and be acknowledged. */
const DRAIN_MS = 3000

export type Broker = Awaited<ReturnType<typeof startBroker>>

/**
 * Starts the MQTT 3.1.1 broker and listens. A device gets PUBACK or PUBREC only when `accept` has
 * resolved; when it rejects, its connection is closed without one. Rejects with CannotStart
 * when the address cannot be listened on.
 */
export async function startBroker(options: BrokerOptions) {
  const { limits } = options
  const pressure = createBackpressure({
    ...limits,
    onClose: ({ socket }) => {
      options.onRefused(null, 'the writer is behind: closed the connection with most in flight')
      socket.destroy()
    },
  })
  const senders: Senders = { of: new WeakMap(), pressure }
  const sockets = new Set<Socket>()
  const aedes = await Aedes.createBroker({
    authorizeSubscribe: (_client, subscription, done) => {
      passOn.isNeeded = true
      done(null, subscription)
    },
    authorizePublish: publishHook(options, senders),
    authorizeForward: forwardHook,
    persistence: createQos2Sessions({
      release: (client, packet) =>
        options.accept({ kind: 'release', once: { client: client.id!, packet } }, client),
      forget: client => options.accept({ kind: 'forget', client: client.id! }, client),
    }),
    connectTimeout: limits.connectTimeoutMs,
    drainTimeout: limits.drainTimeoutMs,
    maxInflightInbound: limits.qos2InFlightMax,
  })
  const passOn = startPassingOn(aedes)
  const onBroken = (client: Client | null, error: Error) =>
    options.onBroken(client?.id ?? null, error.message)
  aedes.on('clientError', onBroken)
  aedes.on('connectionError', onBroken)
  const server = createServer({ highWaterMark: 16 * 1024, noDelay: true }, socket => {
    const client = aedes.handle(socket)
    guardParser(client, limits.packetMaxBytes)
    const sender = { socket, inFlightBytes: 0, keepAlive: () => refreshKeepalive(client) }
    senders.of.set(client, sender)
    pressure.add(sender)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.maxConnections = limits.connectionsMax
  await listen(server, 'gateway.mqtt', limits)
  return {
    get connections() {
      return aedes.connectedClients
    },
    get isPaused() {
      return pressure.isPaused
    },
    /** Reads nothing more, acknowledges what becomes durable, closes every connection. */
    async [Symbol.asyncDispose](): Promise<void> {
      const closed = new Promise(resolve => server.close(resolve))
      await pressure.drain(DRAIN_MS)
      await new Promise<void>(resolve => aedes.close(() => resolve()))
      // Those that never sent a CONNECT are unknown to aedes.
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** The only hook of aedes that runs before PUBACK and PUBREC. */
function publishHook(
  { accept, onRefused, onAcknowledged, ...options }: BrokerOptions,
  senders: Senders,
) {
  return (client: Client | null, packet: PublishPacket, done: Done) => {
    const refuse = (reason: string) => {
      onRefused(client?.id ?? null, reason)
      done(new Error(reason))
    }
    const { topic, qos, messageId } = packet
    const once = qos === 2 && client && messageId ? { client: client.id, packet: messageId } : null
    if (once && options.unreleased() >= options.limits.qos2EntriesMax) {
      return refuse('too many QoS 2 messages wait for their PUBREL')
    }
    const payload = Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload)
    const left = senders.pressure.enter(
      client && senders.of.get(client),
      payload.length + topic.length,
    )
    const since = performance.now()
    const message = { kind: 'message', topic, payload, receivedAt: Date.now(), once } as const
    accept(message, client ?? {}).then(
      () => {
        left()
        if (qos > 0) onAcknowledged(performance.now() - since)
        done()
      },
      (error: Error) => {
        left()
        refuse(error.message)
      },
    )
  }
}

/**
 * Lets aedes pass messages on only from the first subscription on: at most gateways nobody ever
 * subscribes, and looking for nobody costs a tenth of a message. Retained ones are always kept.
 */
function startPassingOn(aedes: Aedes) {
  const passOn = { isNeeded: false }
  const publish = aedes.publish.bind(aedes) as (...all: unknown[]) => void
  aedes.publish = ((packet: PublishPacket, client: unknown, done: unknown) => {
    // Topics beginning with $ are the broker's own to publish; a device's are only buried.
    const isOwn = !(client && packet.topic.startsWith('$'))
    const nobody = !passOn.isNeeded && !packet.retain
    if (typeof done === 'function' && (nobody || !isOwn)) setImmediate(done as () => void)
    else publish(packet, client, done)
  }) as Aedes['publish']
  return passOn
}

/**
 * Drops QoS 0 for a subscriber that does not read, because aedes would make everyone wait for it.
 */
function forwardHook(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
  return packet.qos === 0 && client.conn.writableNeedDrain ? null : packet
}

function refreshKeepalive(client: Client): void {
  const { _keepaliveTimer: timer } = client as unknown as { _keepaliveTimer: NodeJS.Timeout | null }
  timer?.refresh()
}
