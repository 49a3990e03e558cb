import pino from 'pino'

export type Log = pino.Logger

/** A logger that writes one JSON object a line to standard output, with the process's name. */
export function createLog(name: string, level: string): Log {
  return pino({ name, level, base: { name, pid: process.pid } })
}
