import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ConsumerProcessState } from '../../cloud-bridge/consumers/process.ts'
import type { BridgeState } from '../../cloud-bridge/forward/status.ts'
import type { Config } from '../../config/config.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { GatewayState } from '../../config/process/status.ts'
import { type SupervisedProcess, startSupervisedProcess } from './supervisor.ts'

const RESTART = { firstMs: 200, maxMs: 2000 }
const READY_MS = 15_000
const launcher = fileURLToPath(new URL('../../sluice', import.meta.url))

export type SluiceProcessOptions = {
  configFile?: string | undefined
  env: NodeJS.ProcessEnv
  /** Where its log goes. */
  logDir: string
  onProblem(line: string): void
}

const consumers = ['analytics', 'archive'] as const
export type SluiceProcessName = 'gateway' | 'bridge' | (typeof consumers)[number]

/**
 * Starts the gateway, the bridge or a consumer as a process of its own and keeps it running.
 * Resolves when it answers on its HTTP port; rejects when it ended by itself or did not answer in
 * time.
 */
export async function startSluiceProcess(
  name: SluiceProcessName,
  http: Config['gateway']['http'],
  { configFile, env, logDir, onProblem }: SluiceProcessOptions,
): Promise<SupervisedProcess> {
  mkdirSync(logDir, { recursive: true })
  const logFile = join(logDir, `${name}.log`)
  const part = await startSupervisedProcess({
    name,
    command: process.execPath,
    args: [
      launcher,
      ...wordsOf(name),
      ...(configFile === undefined ? [] : ['--config', configFile]),
    ],
    // Outside npm the launcher becomes the part, so that its pid is the part's.
    env: { ...env, npm_lifecycle_event: undefined },
    restart: RESTART,
    logFile,
    onExit: ({ code, signal }, next) => {
      const then = next.action === 'restart' ? 'it is started again' : next.reason
      onProblem(`${name} ended (${signal ?? `exit code ${code}`}): ${then}; see ${logFile}`)
    },
  })
  for (const until = performance.now() + READY_MS; ; await sleep(50)) {
    if (part.state.name === 'failed' || performance.now() > until) {
      await part.stop(1000)
      throw new CannotStart(`${name} did not start: ${lastMessage(logFile)} (${logFile})`)
    }
    // Another one may answer on that port: the pid tells.
    if (part.pid !== null && (await fetchState(http))?.pid === part.pid) return part
  }
}

const wordsOf = (name: SluiceProcessName) =>
  consumers.some(one => one === name) ? ['consume', name] : [name]

/** What a part said last in its log: why it ended. */
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

/** What a running part says of itself, or null when nobody answers. */
export async function fetchState<P extends keyof StateOf = 'gateway'>(
  http: Config['gateway']['http'],
): Promise<StateOf[P] | null> {
  try {
    const url = `http://${http.host}:${http.port}/state`
    const answer = await fetchOnNewConnection(url, AbortSignal.timeout(2000))
    return (await answer.json()) as StateOf[P]
  } catch {
    return null
  }
}

/**
 * Asks a part for a page, over a connection of its own: one that was kept may have been closed
 * meanwhile, and who was busy sees that only when he asks. Rejects when nobody answers.
 */
export function fetchOnNewConnection(
  url: string,
  signal: AbortSignal | null = null,
): Promise<Response> {
  return fetch(url, { signal, headers: { connection: 'close' } })
}
