import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { pauseReads, resumeReads } from './aedes-internals.ts'

/**
 * One connection and its bytes in flight: bytes that the gateway has read and whose messages have
 * no fate yet.
 */
export type MqttConnection = { socket: Socket; inFlightBytes: number; keepAlive(): void }

export type BackpressureOptions = {
  inFlightMaxBytes: number
  pauseMaxMs: number
  /** Closes a connection without an acknowledgement, because the writer was too slow. */
  closeConnection(connection: MqttConnection): void
}

const REFRESH_MS = 500
/** The approximate memory of a message in addition to its topic and payload. */
const MESSAGE_BYTES = 1024

/**
 * Limits the bytes in flight: bytes that were read from devices and whose messages have no fate
 * yet. Above `inFlightMaxBytes` no socket is read, until the bytes in flight fall to half of the
 * limit. After `pauseMaxMs` the connections with the most bytes in flight are closed, so that
 * reading resumes. A pause does not count against a connection's keepalive, because the device's
 * PINGREQ may wait unread in the socket.
 */
export function createBackpressure({
  inFlightMaxBytes,
  pauseMaxMs,
  closeConnection,
}: BackpressureOptions) {
  const connections = new Set<MqttConnection>()
  /** Connections with data that a pause left unread. */
  const unread = new Set<MqttConnection>()
  let bytes = 0
  let pause: { closeTimer?: NodeJS.Timeout; refreshTimer: NodeJS.Timeout } | null = null
  let isDraining = false

  const startPause = (closeTimer?: NodeJS.Timeout) => {
    const refreshTimer = setInterval(() => {
      for (const connection of unread) connection.keepAlive()
    }, REFRESH_MS)
    pause = closeTimer ? { closeTimer, refreshTimer } : { refreshTimer }
  }
  const resume = () => {
    if (!pause || isDraining) return
    clearTimeout(pause.closeTimer)
    clearInterval(pause.refreshTimer)
    pause = null
    const resumed = [...unread]
    unread.clear()
    for (const connection of resumed) {
      connection.keepAlive()
      resumeReads(connection.socket)
    }
  }
  const closeLargest = () => {
    let excess = bytes - inFlightMaxBytes / 2
    const largestFirst = [...connections].sort((a, b) => b.inFlightBytes - a.inFlightBytes)
    for (const connection of largestFirst) {
      if (excess <= 0 || connection.inFlightBytes === 0) break
      excess -= connection.inFlightBytes
      closeConnection(connection)
    }
    resume()
  }

  return {
    get isPaused() {
      return pause !== null
    },
    /** Adds a connection and makes its reads obey the pause. */
    addConnection(connection: MqttConnection): void {
      connections.add(connection)
      const { socket } = connection
      pauseReads(
        socket,
        () => pause !== null,
        () => unread.add(connection),
      )
      socket.once('close', () => {
        connections.delete(connection)
        unread.delete(connection)
      })
    },
    /** Adds a message in flight. Call the returned function when the message has its fate. */
    addInFlight(connection: MqttConnection | null | undefined, payloadBytes: number): () => void {
      const count = payloadBytes + MESSAGE_BYTES
      bytes += count
      if (connection) connection.inFlightBytes += count
      if (bytes > inFlightMaxBytes && !pause) startPause(setTimeout(closeLargest, pauseMaxMs))
      return () => {
        bytes -= count
        if (connection) connection.inFlightBytes -= count
        if (bytes <= inFlightMaxBytes / 2) resume()
      }
    },
    /** Stops reading and waits until all messages in flight have a fate, at most `deadlineMs`. */
    async drain(deadlineMs: number): Promise<void> {
      const until = performance.now() + deadlineMs
      if (!pause) startPause()
      isDraining = true
      while (bytes > 0 && performance.now() < until) await sleep(5)
      clearTimeout(pause?.closeTimer)
      clearInterval(pause?.refreshTimer)
    },
  }
}
