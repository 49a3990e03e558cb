import assert from 'node:assert/strict'
import type { GatewayProcess } from '../../../setup/gateway-process.ts'
import { disconnectPacket, openWire, packet, pingPacket, type Reply, text, word } from '../wire.ts'

/** A packet from the gateway, with its packet id and the fields of a PUBLISH, if it has them. */
export type Received = Reply & {
  topic: string
  payload: string
  qos: number
  retain: boolean
  dup: boolean
}

export const bytesOf = (hex: string) => Buffer.from(hex, 'hex')
/** No texts of a topic or filter: ill-formed UTF-8, U+0000, a surrogate, no character. */
export const badTexts = ['ff', '610062', 'eda080', ''].map(bytesOf)

let names = 0
/** A name that no other test uses. */
export const unique = (prefix = 'n') => `${prefix}${++names}`
/** A topic for which the gateway has a route and which no other test uses. */
export const sensorTopic = () => `building/hq/zone/conformance/sensor/${unique('d')}`

export type ConnectFields = {
  name?: string
  level?: number
  flags?: number
  keepAliveS?: number
  id?: string | Buffer
  clean?: boolean
  will?: { topic: string | Buffer; payload?: string; qos?: number; retain?: boolean }
  userName?: string | Buffer
  password?: string
  /** Bytes after the last field. */
  rest?: Buffer
}

/** A CONNECT packet. `flags` replaces the flags that follow from the fields. */
export function connectOf(fields: ConnectFields): Buffer {
  const { name = 'MQTT', level = 4, keepAliveS = 0, id = unique('c'), clean = true } = fields
  const { will, userName, password, rest = Buffer.alloc(0) } = fields
  const willFlags = will ? 4 | ((will.qos ?? 0) << 3) | (will.retain ? 32 : 0) : 0
  const given = (clean ? 2 : 0) | willFlags | (userName ? 128 : 0) | (password ? 64 : 0)
  const flags = fields.flags ?? given
  return packet(
    ...['connect', 0, text(name), Buffer.from([level, flags]), word(keepAliveS), text(id)],
    ...(will ? [text(will.topic), text(will.payload ?? 'will')] : []),
    ...(userName === undefined ? [] : [text(userName)]),
    ...(password === undefined ? [] : [text(password)]),
    rest,
  )
}

export type PublishFields = {
  topic: string | Buffer
  payload?: string
  qos?: number
  id?: number
  retain?: boolean
  dup?: boolean
}

export function publishOf({ topic, payload = '1', qos = 0, id = 1, ...more }: PublishFields) {
  const flags = (more.dup ? 8 : 0) | (qos << 1) | (more.retain ? 1 : 0)
  return packet(
    ...['publish', flags, text(topic), ...(qos > 0 ? [word(id)] : [])],
    Buffer.from(payload),
  )
}

export const subscribeOf = (filters: [string | Buffer, number][], id = 1) =>
  packet(
    ...['subscribe', 2, word(id)],
    ...filters.flatMap(([filter, qos]) => [text(filter), Buffer.of(qos)]),
  )
export const unsubscribeOf = (filters: (string | Buffer)[], id = 1) =>
  packet('unsubscribe', 2, word(id), ...filters.map(filter => text(filter)))
export const acknowledgementOf = (type: string, id: number) =>
  packet(type, type === 'pubrel' ? 2 : 0, word(id))

export type TestClient = Awaited<ReturnType<typeof openSocket>>

/** Opens a TCP connection to the gateway, without CONNECT. */
export async function openSocket({ port }: GatewayProcess) {
  const wire = await openWire(port)
  const client = {
    send: wire.send,
    /** The next packet; null when the connection is closed. */
    async next(): Promise<Received | null> {
      const reply = await wire.nextReply()
      return reply ? decode(reply) : null
    },
    /** The next packet, which must have this type and, if it is given, this packet id. */
    async expect(type: string, id?: number): Promise<Received> {
      const packet = await client.next()
      const text = packet ? `${packet.type} ${packet.id ?? ''}` : 'closed'
      assert.ok(packet?.type === type, `expected ${type}, not ${text}`)
      if (id !== undefined) assert.equal(packet.id, id, `the packet id of ${type}`)
      return packet
    },
    /** Reads until the connection is closed; returns what arrived before. */
    async untilClosed(): Promise<Received[]> {
      const all: Received[] = []
      for (let packet = await client.next(); packet; packet = await client.next()) all.push(packet)
      return all
    },
    /** Sends PINGREQ and reads until PINGRESP. Returns what arrived before. */
    async ping(): Promise<Received[]> {
      client.send(pingPacket)
      const all: Received[] = []
      for (;;) {
        const packet = await client.next()
        assert.ok(packet, 'the connection was closed instead of a PINGRESP')
        if (packet.type === 'pingresp') return all
        all.push(packet)
      }
    },
    /** Publishes a message and completes its acknowledgements. */
    async publish(fields: PublishFields): Promise<void> {
      const { qos = 0, id = 1 } = fields
      client.send(publishOf(fields))
      if (qos === 0) await client.ping()
      if (qos === 1) await client.expect('puback', id)
      if (qos < 2) return
      await client.expect('pubrec', id)
      client.send(acknowledgementOf('pubrel', id))
      await client.expect('pubcomp', id)
    },
    /** Subscribes and returns the return codes of the SUBACK. */
    async subscribe(filters: [string, number][], id = 1): Promise<number[]> {
      client.send(subscribeOf(filters, id))
      const { body } = await client.expect('suback', id)
      return [...body.subarray(2)]
    },
    /** Ends the session in order, and waits until the connection is closed. */
    async disconnect(): Promise<void> {
      client.send(disconnectPacket)
      await client.untilClosed()
    },
    /** Breaks the connection without DISCONNECT. */
    abort: () => void wire.socket.destroy(),
    [Symbol.dispose]: () => void wire.socket.destroy(),
  }
  return client
}

/** Opens a connection and sends CONNECT; resolves after the CONNACK. */
export async function openClient(gateway: GatewayProcess, fields: ConnectFields = {}) {
  const client = await openSocket(gateway)
  client.send(connectOf(fields))
  const { body } = await client.expect('connack')
  assert.equal(body[1], 0, 'the return code of CONNACK')
  return Object.assign(client, { sessionPresent: body[0] === 1 })
}

function decode({ type, flags, body }: Reply): Received {
  const fields = { type, flags, body, topic: '', payload: '' }
  const bits = { qos: (flags >> 1) & 3, retain: (flags & 1) === 1, dup: (flags & 8) === 8 }
  if (type !== 'publish') {
    const hasId = type !== 'connack' && type !== 'pingresp'
    return { ...fields, ...bits, id: hasId ? body.readUInt16BE(0) : null }
  }
  const topicEnd = 2 + body.readUInt16BE(0)
  const payloadStart = bits.qos > 0 ? topicEnd + 2 : topicEnd
  return {
    ...{ ...fields, ...bits, id: bits.qos > 0 ? body.readUInt16BE(topicEnd) : null },
    topic: body.toString('utf8', 2, topicEnd),
    payload: body.toString('utf8', payloadStart),
  }
}
