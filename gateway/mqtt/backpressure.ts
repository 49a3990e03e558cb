import { setTimeout as sleep } from 'node:timers/promises'
import { createInFlight, type InFlightOptions } from './bounds/in-flight.ts'
import type { MqttConnection } from './bounds/mqtt-connection.ts'
import { createReadGate } from './bounds/read-gate.ts'

export type BackpressureOptions = InFlightOptions & {
  pauseMaxMs: number
  /** Closes a connection without an acknowledgement, because its packets wait for too long. */
  closeConnection(connection: MqttConnection): void
}

const REFRESH_MS = 500

/**
 * Limits the bytes in flight: of messages that have no fate yet, of packets that have no answer
 * yet, and of messages that wait for subscribers. Above `inFlightMaxBytes` no socket is read, until
 * the bytes in flight fall to half of the limit. After `pauseMaxMs` the connections with the most
 * bytes in flight are closed, so that their devices notice. The messages of a closed connection
 * stay in memory until they have a fate, so the pause goes on: otherwise clients that reconnect
 * would fill the memory while the writer stands still. A pause does not count against a
 * connection's keepalive, because the device's PINGREQ may wait unread in the socket.
 */
export function createBackpressure(options: BackpressureOptions) {
  const { inFlightMaxBytes, pauseMaxMs, closeConnection } = options
  const connections = new Set<MqttConnection>()
  const inFlight = createInFlight(options, () => update())
  const { pressureBytes } = inFlight
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
    pressureBytes,
    addPacket: inFlight.addPacket,
    removePacket: inFlight.removePacket,
    addInFlight: inFlight.addInFlight,
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
    /** Stops reading and waits until all messages in flight have a fate, at most `deadlineMs`. */
    async drain(deadlineMs: number): Promise<void> {
      const until = performance.now() + deadlineMs
      if (!pause) startPause()
      isDraining = true
      while (inFlight.messageBytes > 0 && performance.now() < until) await sleep(5)
      clearTimeout(pause?.closeTimer)
      clearInterval(pause?.refreshTimer)
    },
  }
}
