/** Terminal and launcher may both deliver one Ctrl-C: a repeat so soon is the same signal. */
const ECHO_MS = 500

/**
 * Resolves with the name of the first stop signal (SIGINT, SIGTERM or SIGHUP). From then on the
 * process has `deadlineMs` to stop in order; after that it exits with 1. A second signal ends the
 * process at once with exit code 130.
 */
export function untilSignal(deadlineMs: number): Promise<string> {
  return new Promise(resolve => {
    let firstSignalMs: number | null = null
    const onSignal = (signal: string) => {
      if (firstSignalMs === null) {
        firstSignalMs = performance.now()
        setTimeout(() => process.exit(1), deadlineMs).unref()
        resolve(signal)
      } else if (performance.now() - firstSignalMs > ECHO_MS) process.exit(130)
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal)
  })
}

/**
 * What keeps a process from starting until somebody mends it: it says how, and exits with 2; with 1
 * when it may pass by itself, so that it makes sense to try again.
 */
export class CannotStart extends Error {
  readonly isTemporary: boolean
  constructor(message: string, { isTemporary = false, ...options }: CannotStartOptions = {}) {
    super(message, options)
    this.isTemporary = isTemporary
  }
  get exitCode(): 1 | 2 {
    return this.isTemporary ? 1 : 2
  }
}

type CannotStartOptions = ErrorOptions & { isTemporary?: boolean }
