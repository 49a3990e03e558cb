import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { GatewayProcess } from '../../../setup/gateway-process.ts'
import { disconnectPacket, header, packetTypes, pingPacket } from '../wire.ts'

/** A packet from the gateway, with the fields of a PUBLISH if it is one. */
export type Received = {
  type: string
  flags: number
  body: Buffer
  id: number | null
  topic: string
  payload: string
  qos: number
  retain: boolean
  dup: boolean
}

let names = 0
/** A name that no other test uses. */
export const unique = (prefix = 'n') => `${prefix}${++names}`
/** A topic for which the gateway has a route and which no other test uses. */
export const sensorTopic = () => `building/hq/zone/conformance/sensor/${unique('d')}`

const word = (value: number) => Buffer.from([value >> 8, value & 255])
export const field = (value: string | Buffer) => {
  const bytes = Buffer.from(value as string)
  return Buffer.concat([word(bytes.length), bytes])
}

/** A packet of a type with flags and body. */
export function packetOf(type: string, flags: number, ...body: Buffer[]): Buffer {
  const bytes = Buffer.concat(body)
  return Buffer.concat([header(type, flags, bytes.length), bytes])
}

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
  return packetOf(
    ...['connect', 0, field(name), Buffer.from([level, flags]), word(keepAliveS), field(id)],
    ...(will ? [field(will.topic), field(will.payload ?? 'will')] : []),
    ...(userName === undefined ? [] : [field(userName)]),
    ...(password === undefined ? [] : [field(password)]),
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
  return packetOf(
    ...['publish', flags, field(topic), ...(qos > 0 ? [word(id)] : [])],
    Buffer.from(payload),
  )
}

export const subscribeOf = (filters: [string | Buffer, number][], id = 1) =>
  packetOf(
    ...['subscribe', 2, word(id)],
    ...filters.flatMap(([filter, qos]) => [field(filter), Buffer.of(qos)]),
  )
export const unsubscribeOf = (filters: (string | Buffer)[], id = 1) =>
  packetOf('unsubscribe', 2, word(id), ...filters.map(filter => field(filter)))
export const acknowledgementOf = (type: string, id: number) =>
  packetOf(type, type === 'pubrel' ? 2 : 0, word(id))

export type TestClient = Awaited<ReturnType<typeof openSocket>>

/** Opens a TCP connection to the gateway, without CONNECT. */
export async function openSocket({ port }: GatewayProcess) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const received: Received[] = []
  let unread = Buffer.alloc(0)
  let wake = () => {}
  let isClosed = false
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
    wake()
  })
  socket.on('data', bytes => {
    unread = Buffer.concat([unread, bytes])
    for (let packet = shift(); packet; packet = shift()) received.push(packet)
    wake()
  })
  await once(socket, 'connect')

  function shift(): Received | null {
    const end = packetEnd(unread)
    if (end === null) return null
    const packet = decode(unread[0]!, unread.subarray(end.bodyStart, end.end))
    unread = unread.subarray(end.end)
    return packet
  }

  const client = {
    socket,
    send: (...packets: Buffer[]) => void socket.write(Buffer.concat(packets)),
    /** The next packet; null when the connection is closed. */
    async next(): Promise<Received | null> {
      while (received.length === 0 && !isClosed) {
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
      return received.shift() ?? null
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
    abort: () => void socket.destroy(),
    [Symbol.dispose]: () => void socket.destroy(),
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

function packetEnd(bytes: Buffer): { bodyStart: number; end: number } | null {
  let [length, at, scale] = [0, 1, 1]
  for (;;) {
    const byte = bytes[at++]
    if (byte === undefined) return null
    length += (byte & 127) * scale
    scale *= 128
    if (byte < 128) break
  }
  return bytes.length < at + length ? null : { bodyStart: at, end: at + length }
}

function decode(first: number, body: Buffer): Received {
  const type = packetTypes[(first >> 4) - 1]!
  const flags = first & 15
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
