import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** One connection as the pressure gauge sees it. */
export type MqttConnection = { socket: Socket; inFlightBytes: number; keepAlive(): void }

export type BackpressureOptions = {
  inFlightMaxBytes: number
  pauseMaxMs: number
  /** Closes a connection, unacknowledged, because the writer stayed behind. */
  onClose(sender: MqttConnection): void
}

const REFRESH_MS = 500
/** What a message takes in memory besides its topic and payload, about. */
const MESSAGE_BYTES = 1024

/**
 * Bounds the bytes that were read from devices and are not yet on disk. Above the bound no socket
 * is read, for at most `pauseMaxMs`; if the writer is still behind then, the connections with most
 * in flight are closed. A pause does not count against a keepalive, because the PINGREQ may be
 * waiting in the socket that we do not read.
 */
export function createBackpressure({ inFlightMaxBytes, pauseMaxMs, onClose }: BackpressureOptions) {
  const senders = new Set<MqttConnection>()
  const held = new Set<MqttConnection>()
  let bytes = 0
  let pause: { shed?: NodeJS.Timeout; refresh: NodeJS.Timeout } | null = null
  let ending = false

  const hold = (shed?: NodeJS.Timeout) => {
    const refresh = setInterval(() => {
      for (const sender of held) sender.keepAlive()
    }, REFRESH_MS)
    pause = shed ? { shed, refresh } : { refresh }
  }
  const resume = () => {
    if (!pause || ending) return
    clearTimeout(pause.shed)
    clearInterval(pause.refresh)
    pause = null
    const waiting = [...held]
    held.clear()
    for (const sender of waiting) {
      sender.keepAlive()
      sender.socket.emit('readable')
    }
  }
  const shed = () => {
    let excess = bytes - inFlightMaxBytes / 2
    for (const sender of [...senders].sort((a, b) => b.inFlightBytes - a.inFlightBytes)) {
      if (excess <= 0 || sender.inFlightBytes === 0) break
      excess -= sender.inFlightBytes
      onClose(sender)
    }
    resume()
  }

  return {
    get isPaused() {
      return pause !== null
    },
    /** Counts a connection in and makes its reads obey the pause. */
    add(sender: MqttConnection): void {
      senders.add(sender)
      const { socket } = sender
      const read = socket.read.bind(socket)
      socket.read = size => {
        if (!pause) return read(size)
        held.add(sender)
        return null
      }
      socket.once('close', () => {
        senders.delete(sender)
        held.delete(sender)
      })
    },
    /** Counts bytes in that a connection handed over; call the result when they got their fate. */
    enter(sender: MqttConnection | null | undefined, payloadBytes: number): () => void {
      const count = payloadBytes + MESSAGE_BYTES
      bytes += count
      if (sender) sender.inFlightBytes += count
      if (bytes > inFlightMaxBytes && !pause) hold(setTimeout(shed, pauseMaxMs))
      return () => {
        bytes -= count
        if (sender) sender.inFlightBytes -= count
        if (bytes <= inFlightMaxBytes / 2) resume()
      }
    },
    /** Reads nothing more and waits until what was read has got its fate, at most `deadlineMs`. */
    async drain(deadlineMs: number): Promise<void> {
      const until = performance.now() + deadlineMs
      if (!pause) hold()
      ending = true
      while (bytes > 0 && performance.now() < until) await sleep(5)
      clearTimeout(pause?.shed)
      clearInterval(pause?.refresh)
    },
  }
}
