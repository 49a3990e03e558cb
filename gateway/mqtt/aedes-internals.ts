import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Aedes, Client, PublishPacket } from 'aedes'

// This file contains every use of an undocumented member of aedes. Each use has a test in
// test/gateway/mqtt/aedes-internals.test.ts, which fails when an upgrade of aedes changes the
// member.

/** A packet's type ("connect") and the length that its fixed header declares, in bytes. */
export type PacketHeader = { cmd: string; length: number }

/**
 * The members of aedes' MQTT parser (mqtt-packet) that run after a packet's fixed header is read
 * and before its body is read.
 */
type Parser = {
  packet: PacketHeader
  _parseLength(): boolean
  _emitError(error: Error): unknown
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
  const parser = client._parser as Parser | undefined
  if (typeof parser?._parseLength !== 'function' || typeof parser._emitError !== 'function') {
    throw new Error(
      'the parser of this aedes version has no _parseLength or _emitError: ' +
        'packet sizes cannot be limited',
    )
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
 * Makes aedes forward only the messages for which `isForwarded` returns true. `client` is null for
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

/** The members of aedes' persistence that store QoS 2 messages between PUBLISH and PUBREL. */
export type Sessions = {
  incomingGetPacket(client: SessionClient, packet: SessionPacket): Promise<SessionPacket>
  /** Called at PUBREL. aedes sends PUBCOMP when it resolves, and also when it rejects. */
  incomingDelPacket(client: SessionClient, packet: SessionPacket): Promise<void>
  /** Called at CONNECT with a clean session, and after connections that never sent a CONNECT. */
  cleanIncoming(client: SessionClient): Promise<void>
}

/** Creates the in-memory persistence that aedes uses by default. */
export function createMemorySessions(): Sessions {
  // The module is a function, but its type declarations do not say so.
  return createRequire(import.meta.url)('aedes-persistence')()
}
