import { Readable } from 'node:stream'
import { createMemorySessions, type SessionClient, type SessionPacket } from './aedes-internals.ts'

/**
 * Forgets stored QoS 2 messages durably. `release` forgets one message, at its PUBREL. `forget`
 * forgets all messages of a client, at a CONNECT with a clean session.
 */
export type UnreleasedMessages = {
  release(client: SessionClient, packetId: number): Promise<void>
  forget(client: SessionClient): Promise<void>
}

/**
 * The broker's sessions are in memory, except the QoS 2 messages between PUBLISH and PUBREL. The
 * outbox stores such a QoS 2 message until its PUBREL (whether aedes knows the packet or not) or
 * until a CONNECT with a clean session. PUBCOMP waits until the release is durable, because after
 * PUBCOMP the device may use the packet id for another, identical reading.
 */
export function createQos2Sessions(unreleased: UnreleasedMessages) {
  const sessions = createMemorySessions()
  const { incomingGetPacket, incomingDelPacket, cleanIncoming } = sessions
  sessions.incomingGetPacket = async (client: SessionClient, packet: SessionPacket) => {
    // After a restart aedes knows no packet and would skip incomingDelPacket at PUBREL.
    if (packet.cmd === 'pubrel') return packet
    return incomingGetPacket.call(sessions, client, packet)
  }
  sessions.incomingDelPacket = async (client: SessionClient, packet: SessionPacket) => {
    try {
      await unreleased.release(client, packet.messageId!)
    } catch (error) {
      // aedes sends PUBCOMP even when the release fails; destroying the connection prevents the
      // PUBCOMP.
      client.conn.destroy()
      throw error
    }
    await incomingDelPacket.call(sessions, client, packet).catch(() => {})
  }
  sessions.cleanIncoming = async (client: SessionClient) => {
    // aedes also cleans up after connections that never sent a CONNECT.
    if (!client.id) return
    await unreleased.forget(client)
    await cleanIncoming.call(sessions, client)
  }
  // aedes takes a broker for dead that was silent for three minutes by the wall clock, and
  // publishes the wills of its clients. This broker is the only broker: after a step of the clock,
  // aedes would publish the wills of connected devices. The will of a client that fails is
  // published by another part of aedes.
  sessions.streamWill = () => Readable.from([])
  return sessions
}
