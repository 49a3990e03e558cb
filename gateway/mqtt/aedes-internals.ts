import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Aedes, Client, PublishPacket } from 'aedes'

// Every use of a member that aedes does not promise. Each has a test in
// test/gateway/mqtt/aedes-internals.test.ts, which fails when an upgrade changes the member.

/** A packet's type ("connect") and the length that its fixed header declares, in bytes. */
export type PacketHeader = { cmd: string; length: number }

/** The part of aedes' MQTT parser (mqtt-packet) that runs between fixed header and body. */
type Parser = {
  packet: PacketHeader
  _parseLength(): boolean
  _emitError(error: Error): unknown
}

/**
 * Calls `faultOf` for each packet of a connection when its fixed header is read and its body is
 * not. A fault ends the connection with an error of that text. aedes has no limit of packet length
 * and no public hook for one. Throws at the first connection if the parser of aedes has changed.
 */
export function checkPacketHeaders(
  client: { _parser?: unknown },
  faultOf: (header: PacketHeader) => string | null,
): void {
  const parser = client._parser as Parser | undefined
  if (typeof parser?._parseLength !== 'function' || typeof parser._emitError !== 'function') {
    throw new Error('this version of aedes cannot be guarded: its parser has changed')
  }
  const parseLength = parser._parseLength
  parser._parseLength = () => {
    if (!parseLength.call(parser)) return false
    const fault = faultOf(parser.packet)
    if (fault === null) return true
    parser._emitError(new Error(fault))
    return false
  }
}

/** Starts the keepalive of a connection over, as if a packet had arrived. */
export function refreshKeepalive(client: Client): void {
  const { _keepaliveTimer } = client as unknown as { _keepaliveTimer?: NodeJS.Timeout | null }
  if (_keepaliveTimer === undefined) {
    throw new Error('this version of aedes has no keepalive timer that can be refreshed')
  }
  _keepaliveTimer?.refresh()
}

/**
 * Makes a socket give nothing while `isPaused`, each time with a call of `onSkippedRead`. aedes
 * reads with `read` when the socket emits `readable`, so no data is lost.
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
 * Lets aedes forward only the messages of which `isForwarded` says so. `client` is null for
 * messages of the broker itself. A message that is not forwarded is acknowledged all the same.
 */
export function filterForwarding(
  aedes: Aedes,
  isForwarded: (packet: PublishPacket, client: Client | null) => boolean,
): void {
  const publish = aedes.publish.bind(aedes) as (...args: unknown[]) => void
  aedes.publish = ((packet: PublishPacket, client: unknown, done: unknown) => {
    // Public callers of aedes.publish have no client and pass their callback in its place.
    const isInternal = typeof done === 'function'
    if (isInternal && !isForwarded(packet, client as Client | null)) {
      setImmediate(done as () => void)
    } else publish(packet, client, done)
  }) as Aedes['publish']
}

/** A client as aedes passes it to its persistence; `id` is null before CONNECT. */
export type SessionClient = { id: string | null; conn: { destroy(): unknown } }
export type SessionPacket = { cmd?: string; messageId?: number }

/** The members of aedes' persistence that hold QoS 2 messages between PUBLISH and PUBREL. */
export type Sessions = {
  incomingGetPacket(client: SessionClient, packet: SessionPacket): Promise<SessionPacket>
  /** Called at PUBREL. aedes sends PUBCOMP when it resolves, and also when it rejects. */
  incomingDelPacket(client: SessionClient, packet: SessionPacket): Promise<void>
  /** Called at CONNECT with a clean session, and after connections that never sent a CONNECT. */
  cleanIncoming(client: SessionClient): Promise<void>
}

/** The persistence in memory that aedes uses by default. */
export function createMemorySessions(): Sessions {
  // Its type declarations describe no callable module, but the module is one.
  return createRequire(import.meta.url)('aedes-persistence')()
}
