import type { Writable } from 'node:stream'

/** The reader of our output is gone, as in `sluice tail | head`: a reason to end, not a fault. */
export class OutputClosed extends Error {}

export type Terminal = {
  /** Writes a line to standard output; waits while it is full. Rejects with OutputClosed. */
  printLine(line: string): Promise<void>
  /** Writes a line to standard error. */
  warn(line: string): void
}

/** A terminal of two streams: results go to `out`, warnings to `errors`. */
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
