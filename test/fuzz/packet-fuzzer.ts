import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDevice, pingPacket } from '../gateway/mqtt/wire.ts'
import { type GatewayProcess, startGatewayProcess } from '../setup/gateway-process.ts'
import { connectPacketOf, mutated, packetOf, segmentsOf, sessionIds } from './packet-mutations.ts'
import { createRandom, seedOf } from './random.ts'

export type PacketRun = {
  seed: number
  /** The number of the first connection. */
  from: number
  /** How many packets are sent; the run ends earlier when `isOver` says so. */
  packets: number
  isOver(): boolean
  onProgress(report: PacketReport): void
}

export type PacketReport = {
  seed: number
  packets: number
  connections: number
  /** How many messages became events or dead letters. */
  messages: number
  /** How often the gateway ended. The run stops at the first crash. */
  crashes: number
  /** The connections that were open at the crash. A run from the first of them repeats them. */
  openAtCrash: number[]
  /** Since a fifth of the packets, or a million, were sent; measured without sessions. */
  rssGrowthBytes: number
  rssBytes: number
  logLinesPerConnection: number
  lastLog: string
}

const CONCURRENT = 64
/** After so many connections, all sessions are cleaned and the gateway must answer. */
const ROUND = 2000
/** From so many packets on, growth of memory counts: caches are full by then. */
const WARM_PACKETS = 1_000_000
/** How long the gateway may take to answer a PINGREQ before it counts as hanging. */
const ANSWER_MS = 60_000
const CLOSE_MS = 2000
/** After so long without an answer, the gateway has handled all packets, most likely. */
const QUIET_MS = 15
/** How often that time may pass before the answer to a CONNECT, which may be malformed. */
const ANSWER_WAITS = 20

/** Settings with which the gateway's disk and memory stay bounded while it is fuzzed. */
const settings = {
  mqtt: { faultDelayMaxMs: 0, connectTimeoutMs: 1000, packetTimeoutMs: 1000 },
  outbox: {
    commitWindowMs: 2,
    whenFull: 'drop-oldest',
    bounds: { bytes: 268_435_456, deadLetterBytes: 4_194_304 },
    keep: { bytes: 0 },
  },
}

/**
 * Sends mutated packets to a real gateway process: every type, truncations, lengths, flags, packet
 * ids, split into TCP segments, on many connections at once. Connection n depends only on the seed
 * and n. Resolves with the report when the packets are sent, or at a crash.
 */
export async function fuzzPackets({ seed, from, packets, isOver, onProgress }: PacketRun) {
  await using gateway = await startGatewayProcess(settings)
  const report: PacketReport = {
    ...{
      seed,
      packets: 0,
      connections: 0,
      messages: 0,
      crashes: 0,
      openAtCrash: [],
      rssGrowthBytes: 0,
    },
    ...{ rssBytes: gateway.rssBytes(), logLinesPerConnection: 0, lastLog: '' },
  }
  const open = new Set<number>()
  gateway.exited.then(() => {
    report.openAtCrash = [...open].sort((a, b) => a - b)
  })
  let baseBytes: number | null = null
  const isDone = () => report.packets >= packets || isOver() || !gateway.isRunning

  while (!isDone()) {
    let next = report.connections
    const end = next + ROUND
    const workers = Array.from({ length: CONCURRENT }, async () => {
      while (next < end && !isDone()) {
        const number = from + next++
        open.add(number)
        report.connections++
        const sent = await runConnection(gateway.port, seed, number)
        report.packets += sent
        open.delete(number)
      }
    })
    await Promise.all(workers)
    if (gateway.isRunning) await cleanSessions(gateway).catch(() => {})
    if (!gateway.isRunning) break
    report.messages = await gateway.messageCount().catch(() => report.messages)
    report.rssBytes = gateway.rssBytes()
    const isWarm = report.packets >= Math.min(packets / 5, WARM_PACKETS)
    if (isWarm) baseBytes ??= report.rssBytes
    report.rssGrowthBytes = report.rssBytes - (baseBytes ?? report.rssBytes)
    report.logLinesPerConnection = gateway.logLines() / report.connections
    onProgress(report)
  }
  if (!gateway.isRunning) {
    Object.assign(report, { crashes: 1, lastLog: gateway.logText() })
  }
  return report
}

/** Runs one connection to its end, and returns how many packets it sent. */
async function runConnection(port: number, seed: number, number: number): Promise<number> {
  const random = createRandom(seedOf(seed, number))
  const isSession = random.chance(0.1)
  const clientId = isSession ? random.pick(sessionIds) : `fuzz-${number % 1000}`
  const mutationRate = random.pick([0, 0.02, 0.1, 0.5])
  const first = connectPacketOf(random, clientId, !isSession)
  const all = [random.chance(mutationRate / 2) ? mutated(random, first) : first]
  for (let count = random.size(300); count > 0; count--) {
    const bytes = packetOf(random)
    const isMutated = random.chance(mutationRate)
    all.push(isMutated ? mutated(random, bytes) : bytes)
    // A packet that is too short is harmless for some parsers while another packet follows.
    if (isMutated && random.chance(0.5)) break
  }
  await using socket = await openSocket(port)
  const [connectBytes, ...rest] = all as [Buffer, ...Buffer[]]
  const isPipelined = random.chance(0.3)
  if (!isPipelined) {
    socket.write(connectBytes)
    await socket.untilAnswered()
  }
  const bytes = Buffer.concat(isPipelined ? all : rest)
  for (const segment of segmentsOf(random, bytes)) {
    if (socket.isClosed) break
    socket.write(segment)
    if (random.chance(0.2)) await new Promise(resolve => setImmediate(resolve))
  }
  // The gateway drops what it has not handled when the connection ends.
  if (random.chance(0.9)) await socket.untilQuiet()
  if (random.chance(0.5)) socket.end()
  return all.length
}

/** A connection whose answers are only counted. It is destroyed when it is disposed of. */
async function openSocket(port: number) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let [received, isClosed] = [0, false]
  const closed = new Promise<void>(resolve => {
    socket.once('close', () => {
      isClosed = true
      resolve()
    })
  })
  socket.on('error', () => {})
  socket.on('data', bytes => {
    received += bytes.length
  })
  await Promise.race([once(socket, 'connect').catch(() => {}), closed])
  return {
    get isClosed() {
      return isClosed
    },
    write: (bytes: Buffer) => void socket.write(bytes),
    end: () => void socket.end(),
    /** Waits until the gateway has sent something or closed the connection, or for a while. */
    async untilAnswered(): Promise<void> {
      for (let waits = 0; waits < ANSWER_WAITS && received === 0 && !isClosed; waits++) {
        await Promise.race([closed, sleep(QUIET_MS)])
      }
    },
    /** Waits until the gateway has closed the connection, or sends nothing for a while. */
    async untilQuiet(): Promise<void> {
      for (let before = -1; before !== received && !isClosed; ) {
        before = received
        await Promise.race([closed, sleep(QUIET_MS)])
      }
    },
    async [Symbol.asyncDispose]() {
      const timer = setTimeout(() => socket.destroy(), socket.writableEnded ? CLOSE_MS : 0)
      await closed
      clearTimeout(timer)
    },
  }
}

/**
 * Ends all sessions, so that their queues do not count as growth of memory, and checks that the
 * gateway answers. A gateway that does not answer is ended, and counts as crashed.
 */
async function cleanSessions(gateway: GatewayProcess): Promise<void> {
  const answered = Promise.all(
    sessionIds.map(async clientId => {
      using wire = await openDevice(gateway.port, clientId)
      wire.send(pingPacket)
      while ((await wire.next()) !== 'pingresp') if (wire.socket.destroyed) break
    }),
  ).then(() => true)
  const isAnswered = await Promise.race([answered, sleep(ANSWER_MS, false, { ref: false })])
  if (!isAnswered) await gateway.stop('SIGKILL')
}
