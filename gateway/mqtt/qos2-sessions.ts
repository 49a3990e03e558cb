import { Readable } from 'node:stream'
import { createMemorySessions, type SessionClient, type Sessions } from './aedes-internals.ts'
import { createPacketIds } from './sessions/packet-ids.ts'

/**
 * Forgets stored QoS 2 messages durably. `release` forgets one message, at its PUBREL. `forget`
 * forgets all messages of a client, at a CONNECT with a clean session.
 */
export type UnreleasedMessages = {
  release(client: SessionClient, packetId: number): Promise<void>
  forget(client: SessionClient): Promise<void>
}

/**
 * Sessions in memory, except the QoS 2 messages between PUBLISH and PUBREL. The outbox stores such
 * a QoS 2 message until its PUBREL (whether aedes knows the packet or not) or until a CONNECT with
 * a clean session. PUBCOMP waits until the release is durable, because after PUBCOMP the device may
 * use the packet id for another, identical reading. In memory only packet ids are kept, never
 * payloads.
 */
export function createQos2Sessions(
  unreleased: UnreleasedMessages,
  limits: { qos2InFlightMax: number; qos2EntriesMax: number },
): Sessions {
  const sessions = createMemorySessions()
  const { qos2InFlightMax, qos2EntriesMax } = limits
  const ids = createPacketIds({ perClientMax: qos2InFlightMax, totalMax: qos2EntriesMax })
  sessions.incomingStorePacket = async (client, { messageId }) => ids.add(client.id!, messageId!)
  sessions.incomingGetPacket = async (client, packet) => {
    // After a restart no packet is known, and aedes would skip incomingDelPacket at PUBREL.
    if (packet.cmd === 'pubrel' || ids.has(client.id!, packet.messageId!)) return packet
    throw new Error('no such packet')
  }
  sessions.incomingDelPacket = async (client, packet) => {
    try {
      await unreleased.release(client, packet.messageId!)
    } catch (error) {
      // aedes sends PUBCOMP even when the release fails; destroying the connection prevents the
      // PUBCOMP.
      client.conn.destroy()
      throw error
    }
    ids.remove(client.id!, packet.messageId!)
  }
  sessions.cleanIncoming = async client => {
    // aedes also cleans up after connections that never sent a CONNECT.
    if (!client.id) return
    await unreleased.forget(client)
    ids.removeAll(client.id)
  }
  // aedes takes a broker for dead that was silent for three minutes by the wall clock, and
  // publishes the wills of its clients. This broker is the only broker: after a step of the clock,
  // aedes would publish the wills of connected devices. The will of a client that fails is
  // published by another part of aedes.
  sessions.streamWill = () => Readable.from([])
  return sessions
}
