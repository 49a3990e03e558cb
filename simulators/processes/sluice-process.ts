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
const READY_MS = 15_000
const launcher = fileURLToPath(new URL('../../sluice', import.meta.url))

export type SluiceProcessOptions = {
  configFile?: string | undefined
  env: NodeJS.ProcessEnv
  /** The folder of the log file, `<name>.log`. */
  logDir: string
  /** Called with one line after each exit that was not requested. */
  onProblem(line: string): void
}

/** Where a process serves its HTTP pages. */
export type HttpAddress = Pick<Config['gateway']['http'], 'host' | 'port'>

const consumers = ['analytics', 'archive'] as const
export type SluiceProcessName = 'gateway' | 'bridge' | (typeof consumers)[number]

/**
 * Starts the gateway, the bridge or a consumer as a process of its own, and restarts the process
 * when it exits. Resolves when the process answers on its HTTP port. Rejects with CannotStart when
 * the supervisor gave up, or when the process did not answer within `READY_MS`.
 */
export async function startSluiceProcess(
  name: SluiceProcessName,
  http: HttpAddress,
  { configFile, env, logDir, onProblem }: SluiceProcessOptions,
): Promise<SupervisedProcess> {
  mkdirSync(logDir, { recursive: true })
  const logFile = join(logDir, `${name}.log`)
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
      const consequence = next.action === 'restart' ? 'restarting' : next.reason
      onProblem(`${name} ended (${signal ?? `exit code ${code}`}): ${consequence}; see ${logFile}`)
    },
  })
  for (const deadlineMs = performance.now() + READY_MS; ; await sleep(50)) {
    if (child.state.name === 'failed' || performance.now() > deadlineMs) {
      await child.stop(1000)
      throw new CannotStart(`${name} did not start: ${lastMessage(logFile)} (${logFile})`)
    }
    // Another process may answer on that port; only the pid identifies our child.
    if (child.pid !== null && (await fetchState(http))?.pid === child.pid) return child
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
