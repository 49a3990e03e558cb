import { checkPacketHeaders } from './aedes-internals.ts'

type GuardedClient = { _parser?: unknown; connecting: boolean; connected: boolean }

/**
 * The largest CONNECT packet that is accepted. It contains client id, will, user name and password.
 */
const CONNECT_MAX_BYTES = 16 * 1024

/**
 * Checks each packet by its fixed header, before any of its body is stored in memory: the first
 * packet must be CONNECT, and no packet may declare more than `packetMaxBytes` (MQTT 3.1.1,
 * sections 2.2.3 and 3.1.0-1). A packet that breaks one of these two rules ends its connection.
 */
export function guardPackets(client: GuardedClient, packetMaxBytes: number): void {
  checkPacketHeaders(client, ({ cmd, length }) => {
    if (!client.connecting && !client.connected && cmd !== 'connect') {
      return `the first packet is ${cmd}, not connect`
    }
    const maxBytes =
      cmd === 'connect' ? Math.min(CONNECT_MAX_BYTES, packetMaxBytes) : packetMaxBytes
    return length > maxBytes
      ? `a ${cmd} packet declares ${length} bytes, more than ${maxBytes}`
      : null
  })
}
