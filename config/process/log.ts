import pino from 'pino'

export type Log = pino.Logger

/** Structured lines on standard output, one JSON object each, with the part's name in them. */
export function createLog(part: string, level: string): Log {
  return pino({ name: part, level, base: { name: part, pid: process.pid } })
}
