// Child processes: each in a process group of its own, so that the Ctrl-C of a terminal reaches
// only us and we end the children in order; and none of them outlives us, however we end.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'

const disposeDeadlineMs = 5_000
const wrongConfiguration = 2

export type RestartLimits = { firstMs: number; maxMs: number }
export type ProcessExit = { code: number | null; signal: NodeJS.Signals | null; ranMs: number }

/** What follows an exit nobody asked for. */
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
  /** told about every exit that nobody asked for */
  onExit?: (exit: ProcessExit, next: ExitDecision) => void
} & Output

/** Where its output goes, stdout and stderr alike: appended to a file, or line by line to us. */
type Output =
  | { logFile: string; onLine?: never }
  | { onLine: (line: string) => void; logFile?: never }

export type SupervisedProcess = AsyncDisposable & {
  readonly name: string
  readonly pid: number | null
  readonly state: ProcessState
  readonly restarts: number
  /** Sends a signal to the process as it runs now; a process that ends of it is started again. */
  kill(signal: NodeJS.Signals): boolean
  /**
   * Promise: the process has ended and stays so. SIGTERM first; SIGKILL when that did not end it
   * within deadlineMs. Resolves to whether the SIGKILL was needed. Further calls wait with the
   * first.
   */
  stop(deadlineMs: number): Promise<'ended' | 'killed'>
}

/**
 * What to do after an exit that nobody asked for: start again, waiting twice as long after each
 * failure in a row, from firstMs up to maxMs. One that ran longer than maxMs was well, so its
 * failures are forgotten. Exit code 2 means wrong configuration or a lock held by another process:
 * the same start would fail again.
 */
export function decideAfterExit(
  exit: ProcessExit,
  failures: number,
  limits: RestartLimits,
): ExitDecision {
  if (exit.code === wrongConfiguration) {
    return { action: 'give-up', reason: 'exit code 2: wrong configuration, or already running' }
  }
  const inARow = exit.ranMs > limits.maxMs ? 1 : failures + 1
  const delayMs = Math.min(limits.maxMs, limits.firstMs * 2 ** (inARow - 1))
  return { action: 'restart', delayMs, failures: inARow }
}

/**
 * Promise: a child process that is kept running. Rejects when the command cannot be started at all.
 */
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
    const how = await endProcess(child, deadlineMs)
    state = { name: 'stopped' }
    return how
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
      await stop(disposeDeadlineMs)
    },
  }
}

/**
 * Promise: a running child process in a group of its own that is killed when this process ends,
 * even by SIGKILL: a second, tiny process waits for the end of a pipe that only we hold open.
 * Rejects when the command cannot be started.
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
  // Without a shell the child still works; it only loses this protection.
  guard.on('error', () => {})
  guard.unref()
  ;(guard.stdin as Socket).unref()
  child.once('exit', () => guard.kill('SIGKILL'))
  return child
}

/** Sends a signal to a child of spawnTied and to all that it started itself. */
export function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal)
  } catch {
    // it has ended already
  }
}

/**
 * Promise: this child of spawnTied has ended: by SIGTERM, or by SIGKILL after deadlineMs. A child
 * that was suspended is woken, because a suspended process does not see the SIGTERM.
 */
export async function endProcess(
  child: ChildProcess,
  deadlineMs: number,
): Promise<'ended' | 'killed'> {
  if (child.exitCode !== null || child.signalCode !== null) return 'ended'
  const exited = once(child, 'exit')
  let how: 'ended' | 'killed' = 'ended'
  child.kill('SIGTERM')
  child.kill('SIGCONT')
  const timer = setTimeout(() => {
    how = 'killed'
    killGroup(child, 'SIGKILL')
  }, deadlineMs)
  await exited
  clearTimeout(timer)
  return how
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
