import { createConnection } from 'node:net'
import { MqttClient, type Packet, UniqueMessageIdProvider } from 'mqtt'

export type QualityOfService = 0 | 1 | 2

/** A message ready to be sent. The device is for the record, not for the wire. */
export interface Publication {
  readonly number: number
  readonly deviceIndex: number
  readonly topic: string
  readonly payload: string
  readonly qos: QualityOfService
}

export interface ConnectionOptions {
  readonly host: string
  readonly port: number
  readonly clientId: string
  /** Keep the session through a lost connection: without it a resent QoS 2 message counts twice. */
  readonly keepSession: boolean
  readonly inFlightMax: number
  readonly reconnectMinMs: number
  readonly reconnectMaxMs: number
}

export interface ConnectionEvents {
  /** A PUBACK (QoS 1) or the PUBREC (QoS 2) of this message was read from the socket. */
  acknowledged(number: number): void
  /** The message is being sent again. */
  resent(number: number): void
  /** There may be room that was not there before. */
  roomChanged(): void
  failed(error: Error): void
}

/** One MQTT connection that carries the messages of many devices, in the order it is given them. */
export interface Connection extends AsyncDisposable {
  /** Connected, and everything that was unacknowledged before has been sent again and settled. */
  readonly ready: boolean
  readonly reconnects: number
  /** QoS 1 and 2: not yet settled by the broker. QoS 0: not yet taken by the socket. */
  readonly inFlight: number
  hasRoom(): boolean
  /** Only when there is room. */
  send(publication: Publication): void
}

const endMaxMs = 1_000

interface InFlight {
  readonly number: number
  readonly qos: QualityOfService
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
 * Opens a connection that comes back by itself, for as long as it takes. mqtt 5.16 sends again
 * what was unacknowledged, one at a time in the order of publication, before it says `connect`;
 * what is published in between would overtake, so nothing is until then. It does not set DUP,
 * and it gives up for good when CONNACK refuses, unless told otherwise.
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
    const known = inFlight.get(packet.messageId ?? 0)
    if (!known) throw new Error(`packet ${packet.messageId} was resent but never sent`)
    packet.dup = true
    events.resent(known.number)
  }
  client.on('packetreceive', packet => {
    const known = inFlight.get(packet.messageId ?? 0)
    if (!known) return
    if (packet.cmd === 'pubrec' || (packet.cmd === 'puback' && known.qos === 1)) {
      events.acknowledged(known.number)
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
      if (sending) throw new Error(`message ${number} was published but not sent`)
    },
    async [Symbol.asyncDispose]() {
      ready = false
      const forced = !client.connected || inFlight.size > 0
      const ended = client.endAsync(forced)
      const late = setTimeout(() => client.stream.destroy(), endMaxMs)
      await ended.finally(() => clearTimeout(late))
    },
  }
}
