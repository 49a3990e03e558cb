/** A terminal and a launcher may both pass on one Ctrl-C: what comes so soon is the same signal. */
const ECHO_MS = 500

/**
 * Resolves with the name of the first signal that asks this process to end (SIGINT, SIGTERM or
 * SIGHUP). From then on it has `deadlineMs` to end in order; a second signal ends it at once with
 * exit code 130.
 */
export function untilSignal(deadlineMs: number): Promise<string> {
  return new Promise(resolve => {
    let askedAt: number | null = null
    const onSignal = (signal: string) => {
      if (askedAt === null) {
        askedAt = performance.now()
        setTimeout(() => process.exit(1), deadlineMs).unref()
        resolve(signal)
      } else if (performance.now() - askedAt > ECHO_MS) process.exit(130)
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
