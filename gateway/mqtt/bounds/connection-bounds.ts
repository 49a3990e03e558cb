import type { Socket } from 'node:net'

import type { Config } from '../../../config/config.ts'
import {
  type Client,
  observeDonePackets,
  observePackets,
  parserOf,
  refreshKeepalive,
} from '../aedes-internals.ts'
import { createBackpressure } from '../backpressure.ts'
import { guardPackets } from '../packet-guard.ts'
import type { BoundReports } from './bound-reports.ts'
import { createConnectDelay } from './connect-delay.ts'
import type { ConnectionFaults } from './connection-faults.ts'
import type { MqttConnection } from './mqtt-connection.ts'
import { createPacketDeadlines, type WatchedPackets } from './packet-deadlines.ts'
import { startReadingClock } from './reading-clock.ts'
import { createUnfinishedPackets } from './unfinished-packets.ts'

const STEP_MS = 1000
/** The approximate memory of a search for retained messages until the last message is sent. */
const SEARCH_BYTES = 4096
/** Which part of `inFlightMaxBytes` unfinished packets may have. */
const UNFINISHED_SHARE = 1 / 4

export type ConnectionBoundsOptions = {
  limits: Config['gateway']['mqtt']
  faults: ConnectionFaults
  boundReports: BoundReports
  /** Called when the writer is too slow, with the reason why a connection is closed. */
  onTooSlow(reason: string): void
  /** How many messages wait to be passed to subscribers. */
  waitingMessages(): number
}

type WatchedConnection = MqttConnection & {
  packets: WatchedPackets
  /** For each search for retained messages, what takes back its bytes in flight. */
  searches: Set<() => void>
}

export type ConnectionBounds = ReturnType<typeof startConnectionBounds>

/**
 * Bounds what one connection can take from the gateway: memory of messages in flight and of
 * unfinished packets, the time of a packet, silence, and how fast a client repeats a fault. Runs
 * until `stop`.
 */
export function startConnectionBounds(options: ConnectionBoundsOptions) {
  const { limits, faults, boundReports, onTooSlow, waitingMessages } = options
  const { inFlightMaxBytes, pauseMaxMs, packetTimeoutMs, idleMaxMs } = limits
  const byClient = new WeakMap<Client, WatchedConnection>()
  const backpressure = createBackpressure({
    ...{ inFlightMaxBytes, pauseMaxMs, unfinishedBytes: () => unfinished.bytes },
    waitingMessages,
    closeConnection: ({ socket }) => {
      onTooSlow('packets wait too long: closed the connection with the most bytes in flight')
      socket.destroy()
    },
  })
  const stepMs = Math.min(STEP_MS, pauseMaxMs / 4, packetTimeoutMs / 4, idleMaxMs / 4)
  const clock = startReadingClock(
    Math.max(1, stepMs),
    () => backpressure.isPaused,
    () => {
      backpressure.keepUnreadAlive()
      deadlines.check()
      unfinished.check()
    },
  )
  const deadlines = createPacketDeadlines({ packetTimeoutMs, idleMaxMs }, clock.now)
  const unfinished = createUnfinishedPackets<WatchedConnection>(
    { maxBytes: inFlightMaxBytes * UNFINISHED_SHARE, waitMaxMs: pauseMaxMs },
    {
      ...backpressure,
      close: ({ socket }, reason) => socket.destroy(new Error(reason)),
      // While a packet waits, the gateway reads nothing of it: its deadline must not run.
      onAdmitted: ({ packets }) => packets.onUnfinished(),
      onChange: backpressure.update,
    },
    clock.now,
  )
  const connectDelay = createConnectDelay(backpressure)

  return {
    backpressure,
    /** The connection of a client; undefined for a client that is not of this broker. */
    connectionOf: (client: Client) => byClient.get(client),
    /**
     * Stops reading from a client until the returned function is called. What the client waits for
     * counts as in flight meanwhile.
     */
    holdReads(client: Client): () => void {
      const connection = byClient.get(client)
      if (!connection) return () => {}
      backpressure.holdReads(connection)
      const remove = backpressure.addInFlight(connection, SEARCH_BYTES)
      connection.searches.add(remove)
      return () => {
        if (connection.searches.delete(remove)) remove()
        backpressure.releaseReads(connection)
      }
    },
    /** Guards and bounds a new connection. To be called before any of its bytes is read. */
    add(client: Client, socket: Socket): void {
      guardPackets(client, limits, boundReports)
      const packets = deadlines.add(reason => socket.destroy(new Error(reason)))
      const keepAlive = () => refreshKeepalive(client)
      const searches = new Set<() => void>()
      const connection = { socket, inFlightBytes: 0, readHolds: 0, keepAlive, packets, searches }
      byClient.set(client, connection)
      backpressure.addConnection(connection)
      watchPackets(client, connection, unfinished)
      countOpenPackets(client, connection, backpressure)
      socket.once('close', () => {
        for (const remove of searches) remove()
        searches.clear()
        packets.remove()
        unfinished.remove(connection)
      })
    },
    /** Calls `proceed` at once, or later for a client that repeats a fault again and again. */
    onConnect(client: Client, clientId: string, keepaliveS: number, proceed: () => void): void {
      const connection = byClient.get(client)
      connection?.packets.onConnect(keepaliveS)
      const delayMs = faults.delayMs(clientId)
      if (delayMs === 0 || !connection) proceed()
      else connectDelay.delay(clientId, connection, delayMs, proceed)
    },
    stop: () => clock.stop(),
  }
}

/** Reports a connection's packets. A packet counts as unfinished after a read that leaves it so. */
function watchPackets(
  client: Client,
  connection: WatchedConnection,
  unfinished: ReturnType<typeof createUnfinishedPackets<WatchedConnection>>,
): void {
  let declaredBytes = 0
  let isAdded = false
  observePackets(client as object, {
    onHeader(length) {
      declaredBytes = length
    },
    onPacket() {
      declaredBytes = 0
      connection.packets.onPacket()
      if (isAdded) unfinished.remove(connection)
      isAdded = false
    },
    onParsed() {
      if (declaredBytes === 0 || isAdded || connection.socket.destroyed) return
      isAdded = true
      unfinished.add(connection, declaredBytes)
    },
  })
}

/** Counts the packets of a connection that have no answer yet, until the connection is closed. */
function countOpenPackets(
  client: Client,
  connection: MqttConnection,
  { addPacket, removePacket }: ReturnType<typeof createBackpressure>,
): void {
  let open = 0
  parserOf(client as object).prependListener('packet', () => {
    open++
    addPacket(connection)
  })
  observeDonePackets(client as object, () => {
    if (open === 0) return
    open--
    removePacket(connection)
  })
  // aedes is never done with some packets of a closed connection.
  connection.socket.once('close', () => {
    for (; open > 0; open--) removePacket(connection)
  })
}
