import type { MqttConnection } from './mqtt-connection.ts'

export type InFlightOptions = {
  inFlightMaxBytes: number
  /** The declared bytes of unfinished packets; up to half of the limit they count as in flight. */
  unfinishedBytes(): number
  /** How many messages wait to be passed to subscribers; each counts as a packet in flight. */
  waitingMessages(): number
}

/** The approximate memory of a packet until its answer is in the socket. */
const PACKET_BYTES = 512
/** The approximate memory of a message in addition to its packet, topic and payload. */
const MESSAGE_BYTES = 512

/**
 * Counts the bytes in flight: of messages that have no fate yet, of packets that have no answer
 * yet, and of messages that wait for subscribers. Calls `onChange` when a number has changed.
 */
export function createInFlight(options: InFlightOptions, onChange: () => void) {
  const { inFlightMaxBytes, unfinishedBytes, waitingMessages } = options
  let messageBytes = 0
  let packetBytes = 0
  const changePackets = (connection: MqttConnection, bytes: number) => {
    packetBytes += bytes
    connection.inFlightBytes += bytes
    onChange()
  }
  return {
    /** The bytes of messages that have no fate yet. */
    get messageBytes() {
      return messageBytes
    },
    /** All bytes in flight and of unfinished packets, as they count towards the limit. */
    pressureBytes(): number {
      const waitingBytes = packetBytes + waitingMessages() * PACKET_BYTES
      // Unfinished packets alone must not stop reading, because then they could never be finished.
      return messageBytes + waitingBytes + Math.min(unfinishedBytes(), inFlightMaxBytes / 2)
    },
    /** Adds a packet that was read and has no answer yet. */
    addPacket: (connection: MqttConnection) => changePackets(connection, PACKET_BYTES),
    removePacket: (connection: MqttConnection) => changePackets(connection, -PACKET_BYTES),
    /** Adds a message in flight. Call the returned function when the message has its fate. */
    addInFlight(connection: MqttConnection | null | undefined, payloadBytes: number): () => void {
      const count = payloadBytes + MESSAGE_BYTES
      const change = (bytes: number) => {
        messageBytes += bytes
        if (connection) connection.inFlightBytes += bytes
        onChange()
      }
      change(count)
      return () => change(-count)
    },
  }
}
