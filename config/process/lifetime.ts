import { type ExitCode, exitStatusOf } from './exit-codes.ts'

/**
 * Terminal and launcher may both deliver one Ctrl-C. A second signal within this time is the same
 * Ctrl-C.
 */
const ECHO_MS = 500

/**
 * Resolves with the name of the first stop signal (SIGINT, SIGTERM or SIGHUP). From then on the
 * process has `deadlineMs` to stop in order; after that it exits with ERR_FAILED. A second signal
 * ends the process at once with ERR_INTERRUPTED.
 */
export function untilSignal(deadlineMs: number): Promise<string> {
  return new Promise(resolve => {
    let firstSignalMs: number | null = null
    const onSignal = (signal: string) => {
      if (firstSignalMs === null) {
        firstSignalMs = performance.now()
        setTimeout(() => process.exit(exitStatusOf('ERR_FAILED')), deadlineMs).unref()
        resolve(signal)
      } else if (performance.now() - firstSignalMs > ECHO_MS) {
        process.exit(exitStatusOf('ERR_INTERRUPTED'))
      }
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal)
  })
}

/** A signal that aborts at the first stop signal; see untilSignal. */
export function stopSignal(deadlineMs: number): AbortSignal {
  const stopping = new AbortController()
  untilSignal(deadlineMs).then(() => stopping.abort())
  return stopping.signal
}

/**
 * An obstacle that keeps a process from starting, with its cure in the message. The code is
 * ERR_MISCONFIGURED, or ERR_TEMPORARY when the obstacle may pass by itself.
 */
export class CannotStart extends Error {
  /** Not `code`, because callers look for the code of SQLite or Node there or in `cause`. */
  readonly ending: ExitCode
  constructor(message: string, { isTemporary = false, ...options }: CannotStartOptions = {}) {
    super(message, options)
    this.ending = isTemporary ? 'ERR_TEMPORARY' : 'ERR_MISCONFIGURED'
  }
  get exitCode(): number {
    return exitStatusOf(this.ending)
  }
  get isTemporary(): boolean {
    return this.ending === 'ERR_TEMPORARY'
  }
}

type CannotStartOptions = ErrorOptions & { isTemporary?: boolean }
