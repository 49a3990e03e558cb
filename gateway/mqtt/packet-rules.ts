import { textFault, topicFilterFault, topicNameFault } from './mqtt-text.ts'

/** The fixed header of a packet: its type ("connect"), its declared length in bytes, its flags. */
export type PacketHeader = { cmd: string; length: number; qos: number; dup: boolean }

/**
 * Why a packet is refused, and the return code of the CONNACK that answers a refused CONNECT, if
 * the specification asks for an answer. `isBound`: the packet has more than `filtersMax` filters.
 */
export type PacketFault = { reason: string; connackCode?: 1 | 2; isBound?: true }

/**
 * The allowed lengths of each packet type that a client may send, in bytes: fixed for most types.
 * The shortest CONNECT has the protocol name "MQTT" and an empty client id. The shortest SUBSCRIBE
 * has one filter of one character.
 */
const lengths: Record<string, { least: number; most: number } | undefined> = {
  connect: { least: 12, most: Number.POSITIVE_INFINITY },
  publish: { least: 3, most: Number.POSITIVE_INFINITY },
  puback: { least: 2, most: 2 },
  pubrec: { least: 2, most: 2 },
  pubrel: { least: 2, most: 2 },
  pubcomp: { least: 2, most: 2 },
  subscribe: { least: 6, most: Number.POSITIVE_INFINITY },
  unsubscribe: { least: 5, most: Number.POSITIVE_INFINITY },
  pingreq: { least: 0, most: 0 },
  disconnect: { least: 0, most: 0 },
}

/**
 * Returns why a packet with this fixed header breaks MQTT 3.1.1, or null. The parser has already
 * checked the reserved flags and that the QoS is at most 2 (sections 2.2.2 and 3.3.1.2).
 */
export function headerFault({ cmd, length, qos, dup }: PacketHeader): string | null {
  const allowed = lengths[cmd]
  if (!allowed) return `a client may not send a packet of type ${cmd}`
  const least = allowed.least + (cmd === 'publish' && qos > 0 ? 2 : 0)
  if (length < least) return `a ${cmd} packet of ${length} bytes is too short`
  if (length > allowed.most) return `a ${cmd} packet of ${length} bytes is too long`
  if (cmd === 'publish' && qos === 0 && dup)
    return 'a QoS 0 message has the DUP flag [MQTT-3.3.1-2]'
  return null
}

/**
 * The most bytes of a PUBLISH packet that `bodyFault` reads: its topic and its packet id. The
 * payload may be any bytes.
 */
export const PUBLISH_HEAD_MAX_BYTES = 2 + 65_535 + 2

/**
 * Returns why the body of a packet breaks MQTT 3.1.1, or null. `body` is the complete body, or at
 * least its first PUBLISH_HEAD_MAX_BYTES for a PUBLISH. The header must have passed `headerFault`.
 * A SUBSCRIBE or UNSUBSCRIBE with more than `filtersMax` filters is refused and not read further.
 */
export function bodyFault(
  header: Pick<PacketHeader, 'cmd' | 'qos'>,
  body: Buffer,
  filtersMax: number,
): PacketFault | null {
  try {
    checkBody(header, new BodyReader(header.cmd, body), filtersMax)
    return null
  } catch (error) {
    if (error instanceof MalformedPacket) return error.fault
    throw error
  }
}

function checkBody(
  { cmd, qos }: Pick<PacketHeader, 'cmd' | 'qos'>,
  body: BodyReader,
  filtersMax: number,
): void {
  if (cmd === 'publish') {
    body.readText('topic', topicNameFault)
    if (qos > 0) body.readPacketId()
  } else if (cmd === 'connect') checkConnect(body)
  else if (cmd === 'subscribe' || cmd === 'unsubscribe') checkFilters(cmd, body, filtersMax)
  else if (cmd.startsWith('pub')) body.readPacketId()
}

function checkFilters(cmd: string, body: BodyReader, filtersMax: number): void {
  body.readPacketId()
  let count = 0
  do {
    if (++count > filtersMax) {
      // Both packet types have the same text, so that a client that alternates repeats one fault.
      const bound = `gateway.mqtt.filtersPerPacketMax = ${filtersMax}`
      const reason = `a subscribe or unsubscribe packet has more filters than ${bound}`
      throw new MalformedPacket({ reason, isBound: true })
    }
    body.readText('topic filter', topicFilterFault)
    // The two lower bits are the QoS, and the other bits are reserved.
    if (cmd === 'subscribe' && body.readByte() > 2) {
      body.fail('asks for a QoS other than 0, 1 and 2 [MQTT-3.8.3-4]')
    }
  } while (!body.isAtEnd)
}

/** The protocol levels of MQTT 3.1.1 and, for old devices, of MQTT 3.1, by protocol name. */
const levels: Record<string, number | undefined> = { MQTT: 4, MQIsdp: 3 }
/** The bit by which Mosquitto marks the connection of a bridge. */
const BRIDGE_BIT = 0x80

/**
 * The longest client id. The gateway remembers the ids of clients that are away, up to 100,000 with
 * unreleased QoS 2 messages, so the bounds of their numbers bound memory only for short ids. The
 * specification asks for 23 bytes (section 3.1.3.1).
 */
const CLIENT_ID_MAX_BYTES = 256

const connectFlags = {
  reserved: 0x01,
  cleanSession: 0x02,
  will: 0x04,
  willQosAndRetain: 0x38,
  willQos: 0x18,
  password: 0x40,
  userName: 0x80,
}

function checkConnect(body: BodyReader): void {
  const level = levels[body.readText('protocol name').toString('latin1')]
  if (level === undefined) body.fail('names another protocol than MQTT [MQTT-3.1.2-1]')
  if ((body.readByte() & ~BRIDGE_BIT) !== level) {
    body.fail('asks for an unsupported protocol level [MQTT-3.1.2-2]', 1)
  }
  const flags = body.readByte()
  const has = (bits: number) => (flags & bits) !== 0
  if (has(connectFlags.reserved)) body.fail('has the reserved flag [MQTT-3.1.2-3]')
  if (!has(connectFlags.will) && has(connectFlags.willQosAndRetain)) {
    body.fail('has a QoS or RETAIN flag of a will without a will [MQTT-3.1.2-13] [MQTT-3.1.2-15]')
  }
  if ((flags & connectFlags.willQos) === connectFlags.willQos) {
    body.fail('has a will with QoS 3 [MQTT-3.1.2-14]')
  }
  if (has(connectFlags.password) && !has(connectFlags.userName)) {
    body.fail('has a password without a user name [MQTT-3.1.2-22]')
  }
  body.readWord('keep alive')
  const clientId = body.readText('client id')
  if (has(connectFlags.will)) {
    body.readText('will topic', topicNameFault)
    body.readBytes('will message')
  }
  if (has(connectFlags.userName)) body.readText('user name')
  if (has(connectFlags.password)) body.readBytes('password')
  if (!body.isAtEnd) body.fail('has bytes after its last field')
  if (clientId.length === 0 && !has(connectFlags.cleanSession)) {
    body.fail('asks for a session without a client id [MQTT-3.1.3-8]', 2)
  }
  if (clientId.length > CLIENT_ID_MAX_BYTES) {
    body.fail(`has a client id of more than ${CLIENT_ID_MAX_BYTES} bytes [MQTT-3.1.3-9]`, 2)
  }
}

class MalformedPacket extends Error {
  readonly fault: PacketFault
  constructor(fault: PacketFault) {
    super(fault.reason)
    this.fault = fault
  }
}

/** Reads the fields of a packet's body in order. Throws MalformedPacket at the first fault. */
class BodyReader {
  readonly #cmd: string
  readonly #body: Buffer
  #at = 0

  constructor(cmd: string, body: Buffer) {
    this.#cmd = cmd
    this.#body = body
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#body.length
  }

  readByte(): number {
    return this.#body[this.#skip(1, 'flags')]!
  }

  readWord(name: string): number {
    return this.#body.readUInt16BE(this.#skip(2, name))
  }

  readPacketId(): void {
    if (this.readWord('packet id') === 0) this.fail('has packet id 0 [MQTT-2.3.1-1]')
  }

  /** Reads bytes after their length. */
  readBytes(name: string): Buffer {
    const from = this.#skip(this.readWord(name), name)
    return this.#body.subarray(from, this.#at)
  }

  readText(name: string, faultOf = textFault): Buffer {
    const bytes = this.readBytes(name)
    const fault = faultOf(bytes)
    if (fault !== null) this.fail(`has a ${name} that ${fault}`)
    return bytes
  }

  fail(fault: string, connackCode?: 1 | 2): never {
    const reason = `a ${this.#cmd} packet ${fault}`
    throw new MalformedPacket(connackCode === undefined ? { reason } : { reason, connackCode })
  }

  /** Moves past the next bytes and returns where they begin. */
  #skip(count: number, name: string): number {
    const from = this.#at
    this.#at += count
    if (this.#at > this.#body.length) this.fail(`ends inside its ${name}`)
    return from
  }
}
