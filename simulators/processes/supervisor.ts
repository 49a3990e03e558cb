// Child processes. Each child has a process group of its own, so that the Ctrl-C of a terminal
// reaches only this process, which then ends the children in order. No child outlives this process.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { exitStatusOf } from '../../config/process/exit-codes.ts'

const DISPOSE_DEADLINE_MS = 5_000

export type RestartLimits = { firstMs: number; maxMs: number }
export type ProcessExit = { code: number | null; signal: NodeJS.Signals | null; ranMs: number }

/** The decision after an exit that was not requested. */
export type ExitDecision =
  | { action: 'restart'; delayMs: number; failures: number }
  | { action: 'give-up'; reason: string }

export type ProcessState =
  | { name: 'running'; pid: number }
  | { name: 'waiting'; delayMs: number }
  | { name: 'failed'; reason: string }
  | { name: 'stopped' }

export type ProcessOptions = {
  name: string
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
  restart: RestartLimits
  /** Called after every exit that was not requested. */
  onExit?: (exit: ProcessExit, next: ExitDecision) => void
} & Output

/**
 * The destination of the child's stdout and stderr: appended to a file, or passed line by line to
 * `onLine`.
 */
type Output =
  | { logFile: string; onLine?: never }
  | { onLine: (line: string) => void; logFile?: never }

export type SupervisedProcess = AsyncDisposable & {
  readonly name: string
  readonly pid: number | null
  readonly state: ProcessState
  readonly restarts: number
  /** Sends a signal to the running child. A child that the signal ends is restarted. */
  kill(signal: NodeJS.Signals): boolean
  /**
   * Ends the process for good: SIGTERM, and SIGKILL when the process still runs after deadlineMs.
   * Resolves when the process has ended, to `killed` if the SIGKILL was needed. A second call waits
   * for the first call, and its own deadline is ignored.
   */
  stop(deadlineMs: number): Promise<'ended' | 'killed'>
}

/**
 * Decides what follows an exit that was not requested: a restart with exponential back-off, from
 * firstMs up to maxMs. A run longer than maxMs was healthy and resets the count of failures. Exit
 * code 2 means a wrong configuration or a lock that another process has: another start would fail
 * in the same way, so the supervisor gives up.
 */
export function decideAfterExit(
  exit: ProcessExit,
  failures: number,
  limits: RestartLimits,
): ExitDecision {
  if (exit.code === exitStatusOf('ERR_MISCONFIGURED')) {
    return { action: 'give-up', reason: 'wrong configuration, or already running' }
  }
  const consecutive = exit.ranMs > limits.maxMs ? 1 : failures + 1
  const delayMs = Math.min(limits.maxMs, limits.firstMs * 2 ** (consecutive - 1))
  return { action: 'restart', delayMs, failures: consecutive }
}

/** Starts a child process and restarts it when it exits. Rejects when the command cannot start. */
export async function startSupervisedProcess(options: ProcessOptions): Promise<SupervisedProcess> {
  let child = await launch(options)
  let startedAtMs = performance.now()
  let state: ProcessState = { name: 'running', pid: child.pid! }
  let failures = 0
  let restarts = 0
  let stopping: Promise<'ended' | 'killed'> | undefined
  let timer: NodeJS.Timeout | undefined
  let relaunched = Promise.resolve()

  const decide = (exit: ProcessExit) => {
    if (stopping) return
    const next = decideAfterExit(exit, failures, options.restart)
    if (next.action === 'give-up') {
      state = { name: 'failed', reason: next.reason }
    } else {
      failures = next.failures
      state = { name: 'waiting', delayMs: next.delayMs }
      timer = setTimeout(() => {
        relaunched = relaunch()
      }, next.delayMs)
    }
    options.onExit?.(exit, next)
  }
  const watch = () => {
    child.once('exit', (code, signal) => {
      decide({ code, signal, ranMs: performance.now() - startedAtMs })
    })
  }
  const relaunch = async () => {
    startedAtMs = performance.now()
    restarts++
    try {
      child = await launch(options)
    } catch {
      return decide({ code: null, signal: null, ranMs: 0 })
    }
    state = { name: 'running', pid: child.pid! }
    watch()
  }
  watch()

  const end = async (deadlineMs: number) => {
    clearTimeout(timer)
    await relaunched
    const outcome = await endProcess(child, deadlineMs)
    state = { name: 'stopped' }
    return outcome
  }
  const stop = (deadlineMs: number) => {
    stopping ??= end(deadlineMs)
    return stopping
  }
  return {
    name: options.name,
    get pid() {
      return state.name === 'running' ? state.pid : null
    },
    get state() {
      return state
    },
    get restarts() {
      return restarts
    },
    kill: signal => child.kill(signal),
    stop,
    async [Symbol.asyncDispose]() {
      await stop(DISPOSE_DEADLINE_MS)
    },
  }
}

/**
 * Starts a child process in a process group of its own. The group is killed when this process ends,
 * even by SIGKILL: a small guard process waits for the end of a pipe that only this process keeps
 * open. Rejects when the command cannot start.
 */
export async function spawnGuarded(
  command: string,
  args: string[],
  options: Pick<SpawnOptions, 'cwd' | 'env' | 'stdio'>,
): Promise<ChildProcess> {
  const child = spawn(command, args, { ...options, detached: true })
  await once(child, 'spawn')
  const script = 'read -r _; kill -s KILL -- "-$1"'
  const guard = spawn('/bin/sh', ['-c', script, 'sh', String(child.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // Without a shell there is no guard, and the child works without a guard.
  guard.on('error', () => {})
  guard.unref()
  ;(guard.stdin as Socket).unref()
  child.once('exit', () => guard.kill('SIGKILL'))
  return child
}

/** Sends a signal to a child of `spawnGuarded` and to all processes that the child has started. */
export function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal)
  } catch {
    // The group has ended already.
  }
}

/**
 * Ends a child of `spawnGuarded`: SIGTERM, and SIGKILL after deadlineMs. Resolves when the child
 * has ended. Sends SIGCONT as well, because a suspended child would not receive the SIGTERM.
 */
export async function endProcess(
  child: ChildProcess,
  deadlineMs: number,
): Promise<'ended' | 'killed'> {
  if (child.exitCode !== null || child.signalCode !== null) return 'ended'
  const exited = once(child, 'exit')
  let outcome: 'ended' | 'killed' = 'ended'
  child.kill('SIGTERM')
  child.kill('SIGCONT')
  const timer = setTimeout(() => {
    outcome = 'killed'
    killGroup(child, 'SIGKILL')
  }, deadlineMs)
  await exited
  clearTimeout(timer)
  return outcome
}

async function launch(options: ProcessOptions): Promise<ChildProcess> {
  const { command, args, env, logFile, onLine } = options
  const target = logFile === undefined ? 'pipe' : openSync(logFile, 'a')
  try {
    const stdio: SpawnOptions['stdio'] = ['ignore', target, target]
    const child = await spawnGuarded(command, args, { stdio, ...(env && { env }) })
    for (const stream of [child.stdout, child.stderr]) {
      if (stream && onLine) createInterface({ input: stream }).on('line', onLine)
    }
    return child
  } finally {
    if (typeof target === 'number') closeSync(target)
  }
}
