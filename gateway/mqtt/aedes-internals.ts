import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Aedes, Client } from 'aedes'
import type { PacketHeader } from './packet-rules.ts'

export type { Aedes, Client, PublishPacket } from 'aedes'

// The files aedes-*.ts contain every use of an undocumented member of aedes. A test in
// test/gateway/mqtt runs each use against aedes itself, and fails when an upgrade changes the
// member.

/**
 * The members of aedes' MQTT parser (mqtt-packet) that run after a packet's fixed header is read,
 * and when its body may be complete. `_list` contains the bytes that are received and not yet
 * consumed.
 */
type Parser = {
  packet: PacketHeader
  _list: {
    length: number
    _bufs: Buffer[]
    slice(start: number, end: number): Buffer
    consume(bytes: number): void
    append(bytes: Buffer): void
  }
  prependListener(event: 'packet', listener: () => void): void
  parse(bytes: Buffer): number
  _parseLength(): boolean
  _parsePayload(): boolean
  _emitError(error: Error): unknown
}
const parserMethods = [
  'parse',
  'prependListener',
  '_parseLength',
  '_parsePayload',
  '_emitError',
] as const

/** The parser of a connection; throws when it lacks a member that is used here. */
export function parserOf(client: { _parser?: unknown }): Parser {
  const parser = client._parser as Parser | undefined
  const missing = parserMethods.filter(name => typeof parser?.[name] !== 'function')
  if (!parser?._list?._bufs || missing.length > 0) {
    const names = ['_list._bufs', ...missing].join(', ')
    throw new Error(`the parser of this aedes version lacks ${names}: packets cannot be checked`)
  }
  return parser
}

/**
 * Calls `faultOf` for each packet of a connection after the packet's fixed header is read and
 * before its body is read. When `faultOf` returns a text, the connection ends with an error of that
 * text. aedes has no limit of packet length and no public hook to add a limit. Throws when the
 * parser of aedes lacks the members used here, as it may after an upgrade.
 */
export function checkPacketHeaders(
  client: { _parser?: unknown },
  faultOf: (header: PacketHeader) => string | null,
): void {
  const parser = parserOf(client)
  const parseLength = parser._parseLength
  parser._parseLength = () => parseLength.call(parser) && passes(parser, faultOf(parser.packet))
}

/**
 * Calls `faultOf` for each packet of a connection when the packet is complete and before aedes
 * parses its body. `body` has at most `maxBytes`, unless the packet is no PUBLISH. When `faultOf`
 * returns a text, the connection ends with an error of that text. aedes accepts packets that the
 * specification forbids.
 */
export function checkPacketBodies(
  client: { _parser?: unknown },
  maxBytes: number,
  faultOf: (header: PacketHeader, body: Buffer) => string | null,
): void {
  const parser = parserOf(client)
  const parsePayload = parser._parsePayload
  parser._parsePayload = () => {
    const { packet, _list: list } = parser
    if (list.length < packet.length) return false
    const length = packet.cmd === 'publish' ? Math.min(packet.length, maxBytes) : packet.length
    if (!passes(parser, faultOf(packet, list.slice(0, length)))) return false
    return parsePayload.call(parser)
  }
}

/** What `observePackets` reports of a connection. */
export type PacketObserver = {
  /** The fixed header of a packet is read; the packet declares `length` further bytes. */
  onHeader(length: number): void
  /** A packet is complete. */
  onPacket(): void
  /** All bytes that were read are parsed. */
  onParsed(): void
}

/**
 * The parser keeps each part of an unfinished packet as it was read. Many tiny parts need far more
 * memory than their bytes, so they are joined when there are more than this.
 */
const PARTS_MAX = 256

/**
 * Reports the packets of a connection while they arrive. To be called after `checkPacketHeaders`,
 * so that a packet with a fault is not reported.
 */
export function observePackets(client: { _parser?: unknown }, observer: PacketObserver): void {
  const parser = parserOf(client)
  const { parse, _parseLength: parseLength } = parser
  parser._parseLength = () => {
    const isRead = parseLength.call(parser)
    if (isRead) observer.onHeader(parser.packet.length)
    return isRead
  }
  parser.prependListener('packet', observer.onPacket)
  parser.parse = bytes => {
    const rest = parse.call(parser, bytes)
    const list = parser._list
    if (list._bufs.length > PARTS_MAX) {
      const joined = Buffer.from(list.slice(0, list.length))
      list.consume(list.length)
      list.append(joined)
    }
    observer.onParsed()
    return rest
  }
}

/** Ends the connection when there is a fault. Returns whether the parser may continue. */
function passes(parser: Parser, fault: string | null): boolean {
  if (fault === null) return true
  parser._emitError(new Error(fault))
  return false
}

/**
 * Makes an exception while a packet is parsed, or while aedes begins to handle the packet, end the
 * connection. Otherwise the exception would end the process.
 */
export function containParserErrors(client: { _parser?: unknown }): void {
  const parser = parserOf(client)
  const parse = parser.parse
  parser.parse = bytes => {
    try {
      return parse.call(parser, bytes)
    } catch (error) {
      parser._emitError(error as Error)
      return 0
    }
  }
}

/** Restarts the keepalive timer of a connection, as if a packet had been received. */
export function refreshKeepalive(client: Client): void {
  const { _keepaliveTimer } = client as unknown as { _keepaliveTimer?: NodeJS.Timeout | null }
  if (_keepaliveTimer === undefined) {
    throw new Error('this version of aedes has no keepalive timer that can be refreshed')
  }
  _keepaliveTimer?.refresh()
}

/**
 * Makes `socket.read` return null while `isPaused()` is true; each such read calls `onSkippedRead`.
 * No data is lost, because the data stays in the socket until `resumeReads`: aedes calls `read`
 * whenever the socket emits `readable`.
 */
export function pauseReads(socket: Socket, isPaused: () => boolean, onSkippedRead: () => void) {
  const read = socket.read.bind(socket)
  socket.read = size => {
    if (!isPaused()) return read(size)
    onSkippedRead()
    return null
  }
}

/** Makes aedes read a socket whose read was skipped. */
export function resumeReads(socket: Socket): void {
  socket.emit('readable')
}

/**
 * Calls `onDone` whenever aedes is done with a packet of a client: what the packet asks for is
 * done, and its answer is written to the socket. Also calls `onDone` once after CONNECT.
 */
export function observeDonePackets(client: { _nextBatch?: unknown }, onDone: () => void): void {
  const nextBatch = client._nextBatch
  if (typeof nextBatch !== 'function') {
    throw new Error('this version of aedes does not say when a packet is done')
  }
  client._nextBatch = (...args: unknown[]) => {
    onDone()
    nextBatch.apply(client, args)
  }
}

/** The connected clients of aedes; `will` is the will that is published when a client fails. */
export function connectedClients(aedes: Aedes): (Client & { will: unknown })[] {
  const { clients } = aedes as unknown as { clients?: Record<string, Client & { will: unknown }> }
  if (clients === undefined) throw new Error('this version of aedes has no table of its clients')
  return Object.values(clients)
}

/** Whether a client with this id is connected. */
export function isConnected(aedes: Aedes, id: string): boolean {
  const { clients } = aedes as unknown as { clients: Record<string, Client> }
  return clients[id] !== undefined
}

/** A client as aedes passes it to its persistence; `id` is null before CONNECT. */
export type SessionClient = { id: string | null; conn: { destroy(): unknown } }
/** A client of which aedes' persistence reads only the id. */
export type SessionId = Pick<SessionClient, 'id'>
/** A packet in aedes' persistence; broker id and counter identify a message of the broker. */
export type SessionPacket = {
  cmd?: string
  messageId?: number | undefined
  topic?: string
  payload?: Buffer
  qos?: number
  retain?: boolean
  clientId?: string
  brokerId?: string
  brokerCounter?: number
}

/** The members of aedes' persistence that Sluice replaces. */
export type Sessions = {
  incomingGetPacket(client: SessionClient, packet: SessionPacket): Promise<SessionPacket>
  /** Called at PUBREL. aedes sends PUBCOMP when it resolves, and also when it rejects. */
  incomingDelPacket(client: SessionClient, packet: SessionPacket): Promise<void>
  /** Called at CONNECT with a clean session, and after connections that never sent a CONNECT. */
  cleanIncoming(client: SessionClient): Promise<void>
  incomingStorePacket(client: SessionClient, packet: SessionPacket): Promise<void>
  storeRetained(packet: SessionPacket): Promise<void>
  /** Called at SUBSCRIBE, in the same turn as the event `subscribe` and after it. */
  createRetainedStreamCombi(filters: string[]): Readable
  addSubscriptions(client: SessionId, subscriptions: SessionSubscription[]): Promise<void>
  removeSubscriptions(client: SessionId, topics: string[]): Promise<void>
  /** Called at CONNECT with a kept session. */
  subscriptionsByClient(client: SessionId): Promise<SessionSubscription[]>
  /** Called at CONNECT with a clean session. */
  cleanSubscriptions(client: SessionId): Promise<void>
  outgoingEnqueue(subscription: { clientId: string }, packet: SessionPacket): Promise<void>
  outgoingEnqueueCombi(subscriptions: { clientId: string }[], packet: SessionPacket): Promise<void>
  /** Called before a queued message is sent, and at PUBREC. A rejection closes the connection. */
  outgoingUpdate(client: SessionId, packet: SessionPacket): Promise<void>
  outgoingClearMessageId(
    client: SessionId,
    packet: SessionPacket,
  ): Promise<SessionPacket | undefined>
  outgoingStream(client: SessionId): Readable
  /** Called every four minutes: the wills of brokers that aedes takes for dead. */
  streamWill(brokers?: object): Readable
}

export type SessionSubscription = { topic: string; qos: number }

/** Creates the in-memory persistence that aedes uses by default. */
export function createMemorySessions(): Sessions {
  // The module is a function, but its type declarations do not say so.
  return createRequire(import.meta.url)('aedes-persistence')()
}
