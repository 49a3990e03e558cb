import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * A packet from the broker: its type (MQTT 3.1.1, table 2.1), the flags of its fixed header, and
 * the packet id of an acknowledgement.
 */
export type Reply = { type: string; flags: number; id: number | null; body: Buffer }

const types = [
  ...['', 'connect', 'connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'subscribe'],
  ...['suback', 'unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect'],
]

/** The packet types that have a name, 1 to 14; the types 0 and 15 are reserved. */
export const packetTypes = types.slice(1)

/** Builds a packet: the fixed header with type, flags and length, and then `rest`. */
export function packet(type: string, flags: number, ...rest: Buffer[]): Buffer {
  const body = Buffer.concat(rest)
  return Buffer.concat([header(type, flags, body.length), body])
}

/** Builds a fixed header that declares `length` bytes, which need not follow. */
export function header(type: string, flags: number, length: number): Buffer {
  const bytes = [(types.indexOf(type) << 4) | flags]
  let left = length
  do {
    bytes.push((left % 128) + (left > 127 ? 128 : 0))
    left = Math.floor(left / 128)
  } while (left > 0)
  return Buffer.from(bytes)
}

/** Two bytes: a packet id, or a length. */
export const word = (value: number) => Buffer.from([value >> 8, value & 255])
/** A text or bytes after their length. */
export const text = (value: string | Buffer) => {
  const bytes = Buffer.from(value as string)
  return Buffer.concat([word(bytes.length), bytes])
}

type ConnectOptions = {
  clean?: boolean
  keepaliveS?: number
  will?: { topic: string; payload: string; qos: number }
}

export function connectPacket(client: string, options: ConnectOptions = {}): Buffer {
  const { clean = true, keepaliveS = 0, will } = options
  const flags = (clean ? 2 : 0) | (will ? 4 | (will.qos << 3) : 0)
  const end = will ? [text(will.topic), text(will.payload)] : []
  const start = [text('MQTT'), Buffer.from([4, flags]), word(keepaliveS), text(client)]
  return packet('connect', 0, ...start, ...end)
}

type Publish = { topic: string | Buffer; payload: string; qos?: number; id?: number; dup?: boolean }

export function publishPacket({ topic, payload, qos = 1, id = 1, dup = false }: Publish): Buffer {
  const flags = (dup ? 8 : 0) | (qos << 1)
  const known = qos > 0 ? [word(id)] : []
  return packet('publish', flags, text(topic), ...known, Buffer.from(payload))
}

export const pubrelPacket = (id: number) => packet('pubrel', 2, word(id))
export const pingPacket = packet('pingreq', 0)
export const disconnectPacket = packet('disconnect', 0)
export const subscribePacket = (topic: string, qos = 0) =>
  packet('subscribe', 2, word(1), text(topic), Buffer.from([qos]))
export const unsubscribePacket = (topic: string) => packet('unsubscribe', 2, word(1), text(topic))

export type Wire = Awaited<ReturnType<typeof openWire>>

/** A TCP connection on which a test writes bytes and reads packets one by one. */
export async function openWire(port: number, localAddress = '127.0.0.1') {
  const socket: Socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true })
  const replies: Reply[] = []
  let unread = Buffer.alloc(0)
  let wake = () => {}
  let isClosed = false
  socket.on('error', () => {})
  const closed = new Promise<void>(resolve => {
    socket.once('close', () => {
      isClosed = true
      wake()
      resolve()
    })
  })
  socket.on('data', data => {
    unread = Buffer.concat([unread, data])
    for (;;) {
      const reply = takeReply()
      if (!reply) break
      replies.push(reply)
    }
    wake()
  })
  await once(socket, 'connect')

  function takeReply(): Reply | null {
    let [length, at, scale] = [0, 1, 1]
    for (;;) {
      const byte = unread[at++]
      if (byte === undefined) return null
      length += (byte & 127) * scale
      scale *= 128
      if (byte < 128) break
    }
    if (unread.length < at + length) return null
    const [first, body] = [unread[0]!, unread.subarray(at, at + length)]
    const type = types[first >> 4]!
    unread = unread.subarray(at + length)
    const hasId = type.startsWith('pub') && type !== 'publish'
    return { type, flags: first & 15, body, id: hasId ? body.readUInt16BE(0) : null }
  }

  async function nextReply(): Promise<Reply | undefined> {
    while (replies.length === 0 && !isClosed) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
    return replies.shift()
  }

  return {
    socket,
    closed,
    /** Waits for the next packet; undefined when the connection is closed. */
    nextReply,
    send: (...packets: Buffer[]) => void socket.write(Buffer.concat(packets)),
    /**
     * Waits for the next packet and returns it as text, such as `puback 7`; `closed` when the
     * connection is closed.
     */
    async next(): Promise<string> {
      const reply = await nextReply()
      if (!reply) return 'closed'
      return reply.id === null ? reply.type : `${reply.type} ${reply.id}`
    },
    /** How many packets were received and not yet returned by `next`. */
    get waiting() {
      return replies.length
    },
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

/** Opens a wire and connects a client; resolves after the CONNACK. */
export async function openDevice(port: number, client: string, options: ConnectOptions = {}) {
  const wire = await openWire(port)
  wire.send(connectPacket(client, options))
  const answer = await wire.next()
  if (answer !== 'connack')
    throw new Error(`client ${client} sent CONNECT: the broker answered ${answer}, not connack`)
  return wire
}
