import type { Socket } from 'node:net'

/**
 * One connection and its bytes in flight: bytes that the gateway has read and whose messages have
 * no fate yet.
 */
export type MqttConnection = {
  socket: Socket
  inFlightBytes: number
  /** How many reasons there are not to read from this connection alone. */
  readHolds: number
  keepAlive(): void
}
