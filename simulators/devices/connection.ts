import { createConnection } from 'node:net'
import { MqttClient, type Packet, UniqueMessageIdProvider } from 'mqtt'

export type QualityOfService = 0 | 1 | 2

/** A message ready to be sent. `deviceIndex` is for the publish record and is not sent. */
export type Publication = {
  number: number
  deviceIndex: number
  topic: string
  payload: string
  qos: QualityOfService
}

export type ConnectionOptions = {
  host: string
  port: number
  clientId: string
  /**
   * Keep the MQTT session when the connection is lost: without the session, the broker delivers a
   * resent QoS 2 message twice.
   */
  keepSession: boolean
  inFlightMax: number
  reconnectMinMs: number
  reconnectMaxMs: number
}

export type ConnectionEvents = {
  /** The PUBACK (QoS 1) or PUBREC (QoS 2) of this message was read from the socket. */
  acknowledged(number: number): void
  /** The message is sent once more after a reconnect. */
  resent(number: number): void
  /** `hasRoom` may have changed to true. */
  roomChanged(): void
  failed(error: Error): void
}

/** One MQTT connection for the messages of many devices; messages are sent in the order given. */
export type Connection = AsyncDisposable & {
  /** Whether the connection is up and every earlier unacknowledged message has been resent. */
  readonly ready: boolean
  readonly reconnects: number
  /**
   * The number of messages that the broker has not completed (QoS 1 and 2) or that the socket has
   * not written (QoS 0).
   */
  readonly inFlight: number
  hasRoom(): boolean
  /** Sends a message. To be called only while `hasRoom()` returns true. */
  send(publication: Publication): void
}

const END_MAX_MS = 1_000

type InFlight = {
  number: number
  qos: QualityOfService
}

function jitteredMs({ reconnectMinMs, reconnectMaxMs }: ConnectionOptions): number {
  return reconnectMinMs + Math.random() * (reconnectMaxMs - reconnectMinMs)
}

function clientFor(options: ConnectionOptions): MqttClient {
  const { host, port, clientId } = options
  return new MqttClient(() => createConnection({ host, port, noDelay: true }), {
    clientId,
    protocolVersion: 4,
    clean: !options.keepSession,
    keepalive: 15,
    connectTimeout: 5_000,
    reconnectPeriod: jitteredMs(options),
    reconnectOnConnackError: true,
    queueQoSZero: false,
    messageIdProvider: new UniqueMessageIdProvider(),
  })
}

/**
 * Opens a connection that reconnects without limit. mqtt 5.16 resends unacknowledged messages, one
 * at a time in the order of publication, before it emits `connect`; a message published before
 * that would overtake them, so `hasRoom` stays false until then. mqtt does not set DUP on a resent
 * message (done here), and gives up when CONNACK refuses unless `reconnectOnConnackError` is set.
 */
export function openConnection(options: ConnectionOptions, events: ConnectionEvents): Connection {
  const inFlight = new Map<number, InFlight>()
  let unwritten = 0
  let connects = 0
  let ready = false
  let sending: InFlight | undefined
  const client = clientFor(options)
  client.on('packetsend', packet => {
    if (packet.cmd !== 'publish' || !packet.messageId) return
    if (sending) inFlight.set(packet.messageId, sending)
    else resend(packet)
    sending = undefined
  })
  const resend = (packet: Packet & { cmd: 'publish' }) => {
    const message = inFlight.get(packet.messageId ?? 0)
    if (!message) throw new Error(`mqtt resends packet ${packet.messageId}, which was never sent`)
    packet.dup = true
    events.resent(message.number)
  }
  client.on('packetreceive', packet => {
    const message = inFlight.get(packet.messageId ?? 0)
    if (!message) return
    if (packet.cmd === 'pubrec' || (packet.cmd === 'puback' && message.qos === 1)) {
      events.acknowledged(message.number)
    }
    if (packet.cmd !== 'puback' && packet.cmd !== 'pubcomp') return
    inFlight.delete(packet.messageId ?? 0)
    events.roomChanged()
  })
  client.on('connect', () => {
    connects++
    ready = true
    events.roomChanged()
  })
  client.on('close', () => {
    ready = false
    unwritten = 0
    client.options.reconnectPeriod = jitteredMs(options)
  })
  client.on('error', error => events.failed(error))
  const written = (error?: Error | null) => {
    if (error || unwritten === 0) return
    unwritten--
    events.roomChanged()
  }
  return {
    get ready() {
      return ready
    },
    get reconnects() {
      return Math.max(0, connects - 1)
    },
    get inFlight() {
      return inFlight.size + unwritten
    },
    hasRoom: () => ready && inFlight.size + unwritten < options.inFlightMax,
    send({ number, topic, payload, qos }) {
      if (qos === 0) {
        unwritten++
        client.publish(topic, payload, { qos }, written)
        return
      }
      sending = { number, qos }
      client.publish(topic, payload, { qos })
      if (sending)
        throw new Error(`mqtt did not send message ${number} at once: it must be connected`)
    },
    async [Symbol.asyncDispose]() {
      ready = false
      const forced = !client.connected || inFlight.size > 0
      const ended = client.endAsync(forced)
      const timeout = setTimeout(() => client.stream.destroy(), END_MAX_MS)
      await ended.finally(() => clearTimeout(timeout))
    },
  }
}
