import { createRequire } from 'node:module'

/** Forgets QoS 2 messages durably: one at its PUBREL, a client's at its clean session. */
export type UnreleasedMessages = {
  release(client: ClientOf, packet: number): Promise<void>
  forget(client: ClientOf): Promise<void>
}

type ClientOf = { id: string | null; conn: { destroy(): unknown } }
type PacketOf = { cmd?: string; messageId?: number }

type Sessions = {
  incomingGetPacket(client: ClientOf, packet: PacketOf): Promise<PacketOf>
  incomingDelPacket(client: ClientOf, packet: PacketOf): Promise<void>
  cleanIncoming(client: ClientOf): Promise<void>
}
// Its type declarations describe no callable module, which it is.
const memory: () => Sessions = createRequire(import.meta.url)('aedes-persistence')

/**
 * Where the broker keeps its sessions: in memory, except for what is known of QoS 2 messages
 * between PUBLISH and PUBREL, which is in the store and dies there at PUBREL, known to aedes or
 * not, and at a clean-session CONNECT. PUBCOMP waits for that to be durable, because the device may
 * use the packet id again for the very same reading once it has it.
 */
export function createQos2Sessions(unreleased: UnreleasedMessages) {
  const sessions = memory()
  const { incomingGetPacket, incomingDelPacket, cleanIncoming } = sessions
  sessions.incomingGetPacket = async (client: ClientOf, packet: PacketOf) => {
    // After a restart aedes knows no packet and would skip incomingDelPacket at PUBREL.
    if (packet.cmd === 'pubrel') return packet
    return incomingGetPacket.call(sessions, client, packet)
  }
  sessions.incomingDelPacket = async (client: ClientOf, packet: PacketOf) => {
    try {
      await unreleased.release(client, packet.messageId!)
    } catch (error) {
      // aedes sends PUBCOMP whatever happens here: to a connection that is gone it cannot.
      client.conn.destroy()
      throw error
    }
    await incomingDelPacket.call(sessions, client, packet).catch(() => {})
  }
  sessions.cleanIncoming = async (client: ClientOf) => {
    // aedes also cleans up after connections that never sent a CONNECT.
    if (!client.id) return
    await unreleased.forget(client)
    await cleanIncoming.call(sessions, client)
  }
  return sessions
}
