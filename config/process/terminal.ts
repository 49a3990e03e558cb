import type { Writable } from 'node:stream'

/** Who reads our output has gone, as in `sluice tail | head`: a reason to end, not a fault. */
export class OutputClosed extends Error {}

export type Terminal = {
  /** Writes a line to standard output; waits while it is full. Rejects with ReaderGone. */
  printLine(line: string): Promise<void>
  /** Writes a line to standard error. */
  warn(line: string): void
}

/** Lines to these two streams, of which the first is what was asked for. */
export function createTerminal(out: Writable, errors: Writable): Terminal {
  let gone: Error | null = null
  let goOn = () => {}
  out.on('drain', () => goOn())
  out.on('error', (error: NodeJS.ErrnoException) => {
    gone = error.code === 'EPIPE' ? new OutputClosed('nobody reads any more') : error
    goOn()
  })
  return {
    async printLine(line) {
      if (gone) throw gone
      const isFull = !out.write(`${line}\n`)
      if (!isFull) return
      await new Promise<void>(resolve => {
        goOn = resolve
      })
      if (gone) throw gone
    },
    warn: line => void errors.write(`${line}\n`),
  }
}
