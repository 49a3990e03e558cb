import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ConsumerProcessState } from '../../cloud-bridge/consumers/process.ts'
import type { BridgeState } from '../../cloud-bridge/forward/bridge-status.ts'
import type { Config } from '../../config/config.ts'
import type { GatewayState } from '../../config/process/gateway-state.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { type SupervisedProcess, startSupervisedProcess } from './supervisor.ts'

const RESTART = { firstMs: 200, maxMs: 2000 }
/** How often a wait for a process is reported. */
const REPORT_EVERY_MS = 10_000
/** So many exits before the first answer are no accident. */
const EXITS_MAX = 5
const POLL_MS = 50
const STOP_MS = 5000
const launcher = fileURLToPath(new URL('../../sluice', import.meta.url))

export type SluiceProcessOptions = {
  configFile?: string | undefined
  env: NodeJS.ProcessEnv
  /** The folder of the log file, `<name>.log`. */
  logDir: string
  /**
   * Called with one line after each exit that was not requested, and while a process that runs does
   * not answer yet.
   */
  onProblem(line: string): void
  /** Aborts the wait for the first answer. */
  signal?: AbortSignal | undefined
}

/** Where a process serves its HTTP pages. */
export type HttpAddress = Pick<Config['gateway']['http'], 'host' | 'port'>

const consumers = ['analytics', 'archive'] as const
export type SluiceProcessName = 'gateway' | 'bridge' | (typeof consumers)[number]

/**
 * Starts the gateway, the bridge or a consumer as a process of its own, and restarts the process
 * when it exits. Resolves when the process answers on its HTTP port, however long that takes: a
 * machine may be slow, and a gateway may recover its outbox. Rejects with CannotStart when the
 * supervisor gave up, and when the process ended `EXITS_MAX` times before its first answer; with
 * the reason of the signal when the signal aborts.
 */
export async function startSluiceProcess(
  name: SluiceProcessName,
  http: HttpAddress,
  { configFile, env, logDir, onProblem, signal }: SluiceProcessOptions,
): Promise<SupervisedProcess> {
  mkdirSync(logDir, { recursive: true })
  const logFile = join(logDir, `${name}.log`)
  let exits = 0
  const child = await startSupervisedProcess({
    name,
    command: process.execPath,
    args: [
      launcher,
      ...commandOf(name),
      ...(configFile === undefined ? [] : ['--config', configFile]),
    ],
    // Outside npm the launcher replaces itself by the Sluice process, so that the child's pid is
    // the pid of the Sluice process.
    env: { ...env, npm_lifecycle_event: undefined },
    restart: RESTART,
    logFile,
    onExit: ({ code, signal }, next) => {
      exits++
      const consequence = next.action === 'restart' ? 'restarting' : next.reason
      onProblem(`${name} ended (${signal ?? `exit code ${code}`}): ${consequence}; see ${logFile}`)
    },
  })
  const waitReport = createWaitReport(name, http, logFile)
  for (; ; await sleep(POLL_MS)) {
    if (child.state.name === 'failed' || exits >= EXITS_MAX || signal?.aborted) {
      await child.stop(STOP_MS)
      signal?.throwIfAborted()
      throw new CannotStart(`${name} did not start: ${lastMessage(logFile)} (${logFile})`)
    }
    // Another process may answer on that port; only the pid identifies our child.
    if (child.pid !== null && (await fetchState(http))?.pid === child.pid) return child
    const line = waitReport(child.pid)
    if (line !== null) onProblem(line)
  }
}

/**
 * Returns a function that returns, once in `REPORT_EVERY_MS`, the line about a process that runs
 * and does not answer yet; null otherwise.
 */
function createWaitReport(name: string, { host, port }: HttpAddress, logFile: string) {
  const startedAtMs = performance.now()
  let reports = 0
  return (pid: number | null): string | null => {
    const waitedMs = performance.now() - startedAtMs
    if (waitedMs < (reports + 1) * REPORT_EVERY_MS) return null
    reports++
    const state = pid === null ? 'the process is being restarted' : `process ${pid} runs`
    const silence = `does not answer at ${host}:${port} yet; the last line of ${logFile}`
    const seconds = Math.round(waitedMs / 1000)
    const waiting = `waiting for the ${name} for ${seconds} s: ${state} and ${silence}`
    return `${waiting}: ${lastMessage(logFile)}`
  }
}

const commandOf = (name: SluiceProcessName) =>
  consumers.some(consumer => consumer === name) ? ['consume', name] : [name]

/** The message of the last line in a log file, which says why the process ended. */
function lastMessage(logFile: string): string {
  const line = readFileSync(logFile, 'utf8').trimEnd().split('\n').at(-1) ?? ''
  try {
    return JSON.parse(line).msg
  } catch {
    return line
  }
}

type StateOf = {
  gateway: GatewayState
  bridge: BridgeState
  consumer: ConsumerProcessState
}

/** Fetches the page /state of a Sluice process; null when no process answers within 2 s. */
export async function fetchState<P extends keyof StateOf = 'gateway'>(
  http: HttpAddress,
): Promise<StateOf[P] | null> {
  try {
    const url = `http://${http.host}:${http.port}/state`
    const response = await fetchOnNewConnection(url, AbortSignal.timeout(2000))
    return (await response.json()) as StateOf[P]
  } catch {
    return null
  }
}

/**
 * Fetches a page over a new connection. The server may have closed a kept-alive connection
 * meanwhile. A busy client notices that only with its next request, which then fails. Rejects when
 * no process answers.
 */
export function fetchOnNewConnection(
  url: string,
  signal: AbortSignal | null = null,
): Promise<Response> {
  return fetch(url, { signal, headers: { connection: 'close' } })
}
