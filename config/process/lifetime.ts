import { isatty } from 'node:tty'
import { type ExitCode, exitStatusOf } from './exit-codes.ts'

/**
 * Terminal and launcher may both deliver one Ctrl-C. A second signal within this time is the same
 * Ctrl-C.
 */
const ECHO_MS = 500

/**
 * Resolves with the name of the first stop signal (SIGINT or SIGTERM). From then on the process has
 * `deadlineMs` to stop in order; after that `endLate` is called, which exits with ERR_FAILED unless
 * given otherwise. A second signal ends the process at once with ERR_INTERRUPTED. SIGHUP only calls
 * `onHangup`: many daemons read their configuration again at SIGHUP, and a closed terminal sends
 * SIGHUP too, so it must not end a service.
 */
export function untilSignal(
  deadlineMs: number,
  onHangup: () => void,
  endLate: () => void = () => process.exit(exitStatusOf('ERR_FAILED')),
): Promise<string> {
  return new Promise(resolve => {
    let firstSignalMs: number | null = null
    const onSignal = (signal: string) => {
      if (firstSignalMs === null) {
        firstSignalMs = performance.now()
        setTimeout(endLate, deadlineMs).unref()
        resolve(signal)
      } else if (performance.now() - firstSignalMs > ECHO_MS) {
        process.exit(exitStatusOf('ERR_INTERRUPTED'))
      }
    }
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal)
    process.on('SIGHUP', onHangup)
  })
}

/** What a service reports when it ignores a SIGHUP. */
export const HANGUP_IGNORED =
  'SIGHUP is ignored: SIGTERM stops this process, and a restart reads a changed configuration'

/**
 * For commands: a signal that aborts at the first stop signal; see untilSignal. The end of the
 * command's terminal stops the command as well. Without a terminal, SIGHUP is reported on standard
 * error and ignored.
 */
export function stopSignal(deadlineMs: number): AbortSignal {
  const stopping = new AbortController()
  // Asked now, because a closed terminal is no terminal any more.
  const hasTerminal = isatty(0) || isatty(1)
  const onHangup = () => {
    if (hasTerminal) stopping.abort()
    else process.stderr.write(`${HANGUP_IGNORED}\n`)
  }
  untilSignal(deadlineMs, onHangup).then(() => stopping.abort())
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
