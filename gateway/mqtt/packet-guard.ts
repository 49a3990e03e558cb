/** The part of aedes' MQTT parser that the guard stands in front of. */
type Parser = {
  packet: { cmd: string; length: number }
  _parseLength(): boolean
  _emitError(error: Error): unknown
}
type GuardedClient = { _parser?: unknown; connecting: boolean; connected: boolean }

/** The largest CONNECT: client id, will, user name and password. */
const CONNECT_MAX_BYTES = 16 * 1024

/**
 * Judges each packet by its fixed header, before any of its body is kept: the first must be
 * CONNECT, none may declare more than `packetMaxBytes` (MQTT 3.1.1, sections 2.2.3 and 3.1.0-1).
 * A packet that fails ends its connection. aedes has no such limit and no public place for one,
 * so this throws at the first connection if aedes no longer parses the way it is meant for.
 */
export function guardParser(client: GuardedClient, packetMaxBytes: number): void {
  const parser = client._parser as Parser | undefined
  if (typeof parser?._parseLength !== 'function' || typeof parser._emitError !== 'function') {
    throw new Error('this version of aedes cannot be guarded: its parser has changed')
  }
  const parseLength = parser._parseLength
  parser._parseLength = () => {
    if (!parseLength.call(parser)) return false
    const { cmd, length } = parser.packet
    if (!client.connecting && !client.connected && cmd !== 'connect') {
      parser._emitError(new Error(`the first packet is ${cmd}, not connect`))
      return false
    }
    const maxBytes =
      cmd === 'connect' ? Math.min(CONNECT_MAX_BYTES, packetMaxBytes) : packetMaxBytes
    if (length > maxBytes) {
      parser._emitError(
        new Error(`a ${cmd} packet declares ${length} bytes, more than ${maxBytes}`),
      )
      return false
    }
    return true
  }
}
