import { setTimeout as sleep } from 'node:timers/promises'
import type { MqttConnection } from './bounds/mqtt-connection.ts'
import { createReadGate } from './bounds/read-gate.ts'

export type BackpressureOptions = {
  inFlightMaxBytes: number
  pauseMaxMs: number
  /** The declared bytes of unfinished packets; up to half of the limit they count as in flight. */
  unfinishedBytes(): number
  /** Closes a connection without an acknowledgement, because the writer was too slow. */
  closeConnection(connection: MqttConnection): void
}

const REFRESH_MS = 500
/** The approximate memory of a message in addition to its topic and payload. */
const MESSAGE_BYTES = 1024

/**
 * Limits the bytes in flight: bytes that were read from devices and whose messages have no fate
 * yet. Above `inFlightMaxBytes` no socket is read, until the bytes in flight fall to half of the
 * limit. After `pauseMaxMs` the connections with the most bytes in flight are closed, so that their
 * devices notice. The messages of a closed connection stay in memory until they have a fate, so the
 * pause goes on: otherwise clients that reconnect would fill the memory while the writer stands
 * still. A pause does not count against a connection's keepalive, because the device's PINGREQ may
 * wait unread in the socket.
 */
export function createBackpressure({
  inFlightMaxBytes,
  pauseMaxMs,
  unfinishedBytes,
  closeConnection,
}: BackpressureOptions) {
  const connections = new Set<MqttConnection>()
  let inFlightBytes = 0
  // Unfinished packets alone must not stop reading, because then they could never be finished.
  const pressureBytes = () => inFlightBytes + Math.min(unfinishedBytes(), inFlightMaxBytes / 2)
  let pause: { closeTimer?: NodeJS.Timeout; refreshTimer: NodeJS.Timeout } | null = null
  let isDraining = false

  const { add: addToGate, ...gate } = createReadGate(() => pause !== null)

  const startPause = (closeTimer?: NodeJS.Timeout) => {
    const refreshTimer = setInterval(gate.keepAlive, REFRESH_MS)
    pause = closeTimer ? { closeTimer, refreshTimer } : { refreshTimer }
  }
  const resume = () => {
    if (!pause || isDraining) return
    clearTimeout(pause.closeTimer)
    clearInterval(pause.refreshTimer)
    pause = null
    gate.resume()
  }
  const closeLargest = () => {
    let excess = pressureBytes() - inFlightMaxBytes / 2
    const largestFirst = [...connections].sort((a, b) => b.inFlightBytes - a.inFlightBytes)
    for (const connection of largestFirst) {
      if (excess <= 0 || connection.inFlightBytes === 0) break
      excess -= connection.inFlightBytes
      closeConnection(connection)
    }
  }

  const update = () => {
    if (pause === null) {
      if (pressureBytes() > inFlightMaxBytes) startPause(setTimeout(closeLargest, pauseMaxMs))
    } else if (pressureBytes() <= inFlightMaxBytes / 2) resume()
  }

  return {
    /** To be called when the number of unfinished bytes has changed. */
    update,
    /** The bytes in flight and of unfinished packets, as they count towards the limit. */
    pressureBytes,
    holdReads: gate.holdReads,
    releaseReads: gate.releaseReads,
    /** Restarts the keepalive of all connections with unread data. A pause does this by itself. */
    keepUnreadAlive: gate.keepAlive,
    get isPaused() {
      return pause !== null
    },
    /** Adds a connection and makes its reads obey the pause. */
    addConnection(connection: MqttConnection): void {
      connections.add(connection)
      addToGate(connection)
      connection.socket.once('close', () => connections.delete(connection))
    },
    /** Adds a message in flight. Call the returned function when the message has its fate. */
    addInFlight(connection: MqttConnection | null | undefined, payloadBytes: number): () => void {
      const count = payloadBytes + MESSAGE_BYTES
      inFlightBytes += count
      if (connection) connection.inFlightBytes += count
      update()
      return () => {
        inFlightBytes -= count
        if (connection) connection.inFlightBytes -= count
        update()
      }
    },
    /** Stops reading and waits until all messages in flight have a fate, at most `deadlineMs`. */
    async drain(deadlineMs: number): Promise<void> {
      const until = performance.now() + deadlineMs
      if (!pause) startPause()
      isDraining = true
      while (inFlightBytes > 0 && performance.now() < until) await sleep(5)
      clearTimeout(pause?.closeTimer)
      clearInterval(pause?.refreshTimer)
    },
  }
}
