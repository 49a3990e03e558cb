import type { Writable } from 'node:stream'

/**
 * The process that reads our output has ended, as in `sluice tail | head`. That is a reason to end,
 * and no fault.
 */
export class OutputClosed extends Error {}

/**
 * A signal that aborts when the process that reads `out` has ended, as in `sluice status | head`.
 * The error that Node reports then (EPIPE) no longer ends this process.
 */
export function outputClosed(out: Writable): AbortSignal {
  const closing = new AbortController()
  out.on('error', ({ code }: NodeJS.ErrnoException) => code === 'EPIPE' && closing.abort())
  return closing.signal
}

export type Terminal = {
  /**
   * Writes a line to standard output. While its buffer is full, waits until there is room. Rejects
   * with OutputClosed.
   */
  printLine(line: string): Promise<void>
  /** Writes a line to standard error. */
  warn(line: string): void
}

/** Creates a terminal of two streams: `out` gets results, `errors` gets warnings. */
export function createTerminal(out: Writable, errors: Writable): Terminal {
  let writeError: Error | null = null
  let resume = () => {}
  out.on('drain', () => resume())
  out.on('error', (error: NodeJS.ErrnoException) => {
    writeError = error.code === 'EPIPE' ? new OutputClosed('the output was closed') : error
    resume()
  })
  return {
    async printLine(line) {
      if (writeError) throw writeError
      const isFull = !out.write(`${line}\n`)
      if (!isFull) return
      await new Promise<void>(resolve => {
        resume = resolve
      })
      if (writeError) throw writeError
    },
    warn: line => void errors.write(`${line}\n`),
  }
}
