import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Config } from '../../config/config.ts'
import type { SensorReading } from '../../config/event/sensor-reading.ts'
import { findFreePort } from '../../simulators/kafka/free-port.ts'
import { fetchState } from '../../simulators/processes/sluice-process.ts'
import { readOutbox, temporary } from '../gateway/store/fixture.ts'

const launcher = fileURLToPath(new URL('../../sluice', import.meta.url))
const READY_MS = 60_000
const STOP_MS = 20_000
/** How much of the output of the process is kept. */
const OUTPUT_MAX_CHARS = 1_000_000

/** Configuration of a gateway process in addition to its files and ports. */
export type GatewaySettings = {
  mqtt?: Partial<Config['gateway']['mqtt']>
  ingest?: Partial<Config['ingest']>
  outbox?: Record<string, unknown>
  log?: Partial<Config['log']>
}

export type GatewayProcess = Awaited<ReturnType<typeof startGatewayProcess>>

/**
 * Starts the gateway as a user starts it: a process of its own, with its queue, its writer thread
 * and a new outbox on disk. Resolves when the gateway accepts connections. Nothing restarts the
 * process, so that a test sees when the process ends.
 */
export async function startGatewayProcess(settings: GatewaySettings = {}) {
  const place = temporary()
  const [port, httpPort] = [await findFreePort(), await findFreePort()]
  const outboxFile = place.file('outbox.db')
  const http = { host: '127.0.0.1', port: httpPort }
  const { mqtt, ingest = {}, outbox, log = {} } = settings
  const config = {
    gateway: { id: 'gw', mqtt: { port, ...mqtt }, http },
    outbox: { file: outboxFile, commitWindowMs: 0, ...outbox },
    ...{ inbox: { file: place.file('inbox.db') }, ingest, log },
  }
  const configFile = place.file('sluice.yaml')
  writeFileSync(configFile, JSON.stringify(config))
  let output = ''
  let lines = 0
  // Outside npm the launcher replaces itself by the gateway, so that the pid is the gateway's.
  const env = { ...process.env, npm_lifecycle_event: undefined }
  const args = [launcher, 'gateway', '--config', configFile]
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      for (const byte of bytes) if (byte === 10) lines++
      output = (output + bytes.toString()).slice(-OUTPUT_MAX_CHARS)
    })
  }
  const exited = once(child, 'exit')
  let isRunning = true
  exited.then(() => {
    isRunning = false
  })
  /** The end of the output of the process. */
  const logText = () => output
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    if (isRunning) child.kill(signal)
    await exited
    clearTimeout(timer)
  }
  for (const deadlineMs = performance.now() + READY_MS; ; await sleep(50)) {
    if ((await fetchState(http))?.pid === child.pid) break
    if (isRunning && performance.now() < deadlineMs) continue
    await stop('SIGKILL')
    place[Symbol.dispose]()
    throw new Error(`the gateway did not start: ${logText()}`)
  }
  return {
    ...{ port, http, outboxFile, logText, stop, pid: child.pid! },
    get isRunning() {
      return isRunning
    },
    /** The events that are on disk, in their order. */
    stored: (): SensorReading[] => readOutbox(outboxFile).events,
    /** The dead letters that are on disk, with reason and topic, in their order. */
    deadLetters: () =>
      readOutbox(outboxFile)
        .notes.filter(({ kind }) => kind === 'deadletter')
        .map(({ content }) => content as { reason: string; topic: string }),
    /** Resolves when the process has ended. */
    exited: exited.then(() => {}),
    /** How many lines the process has written. */
    logLines: () => lines,
    /** How many messages became events or dead letters; read from the running process. */
    async messageCount(): Promise<number> {
      const state = await fetchState(http)
      if (!state) throw new Error(`the gateway does not answer: ${logText()}`)
      return state.stored + state.buried
    },
    /** The resident memory of the process, in bytes (Linux). */
    rssBytes(): number {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024
    },
    async [Symbol.asyncDispose]() {
      await stop()
      place[Symbol.dispose]()
    },
  }
}
