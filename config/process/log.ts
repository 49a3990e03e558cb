import pino from 'pino'

export type Log = pino.Logger

/**
 * Creates a logger that writes one JSON object a line to standard output, with the name of the
 * process.
 */
export function createLog(name: string, level: string): Log {
  return pino({ name, level, base: { name, pid: process.pid } })
}
