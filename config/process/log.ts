import { fstatSync } from 'node:fs'
import { isatty } from 'node:tty'
import pino from 'pino'
import { printable } from './text-format.ts'

export type Log = pino.Logger

/** `auto` is text on a terminal and JSON elsewhere. */
export type LogOptions = { level: string; format?: 'auto' | 'text' | 'json' }

type Line = { level: string; time: string; name: string; pid: number; msg?: string }

const STDOUT = 1
/** While nobody reads standard output, lines wait up to this size; further ones are dropped. */
const PENDING_MAX_BYTES = 1_048_576
/** How long waiting lines wait for their reader before the next try. */
const RETRY_MS = 100
/** The priorities of syslog, which journald reads from the beginning of a line (sd-daemon(3)). */
const SYSLOG_PRIORITIES: Record<string, number> = { fatal: 2, error: 3, warn: 4, info: 6 }
const LEAST_PRIORITY = 7
const LEVEL_WIDTH = 5

/**
 * Creates a logger that writes one line an entry to standard output, with the name of the process:
 * a JSON object, or text for people. Under systemd each line begins with its syslog priority, such
 * as `<3>`, which journald removes. A reader that does not read, or that has gone, delays or ends
 * the lines and never the process.
 */
export function createLog(
  name: string,
  { level, format = 'auto' }: LogOptions,
  env: NodeJS.ProcessEnv = {},
): Log {
  const output = pino.destination({
    ...{ fd: STDOUT, sync: true, maxLength: PENDING_MAX_BYTES },
    // Node sets pipes and sockets of standard output to non-blocking. While nobody reads, a write
    // fails with EAGAIN. To wait for the reader here would stop all work of the process.
    retryEAGAIN: () => false,
  })
  output.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EAGAIN') setTimeout(() => output.write(''), RETRY_MS).unref()
  })
  const isText = format === 'text' || (format === 'auto' && isatty(STDOUT))
  const isJournal = env.JOURNAL_STREAM !== undefined && env.JOURNAL_STREAM === streamId(STDOUT)
  const options: pino.LoggerOptions = {
    level,
    base: { name, pid: process.pid },
    formatters: { level: label => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
  }
  if (!isText && !isJournal) return pino(options, output)
  const write = (json: string) => {
    const entry = JSON.parse(json) as Line
    const line = isText ? `${logText(entry)}\n` : json
    output.write(isJournal ? `<${syslogPriority(entry.level)}>${line}` : line)
  }
  return pino(options, { write })
}

/**
 * An entry as text for people: time, level, process, message, and the other fields as key=value.
 * The text is safe on a terminal; lines of a stack stay lines.
 */
export function logText({ level, time, name, pid: _, msg = '', ...fields }: Line): string {
  const values = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const text = [msg.split('\n').map(printable).join('\n  '), ...values.map(printable)].join('  ')
  return `${time} ${level.toUpperCase().padEnd(LEVEL_WIDTH)} ${name}: ${text}`
}

/** The syslog priority of a level: 2 (critical) to 7 (debug). */
export const syslogPriority = (level: string): number => SYSLOG_PRIORITIES[level] ?? LEAST_PRIORITY

/** Device and inode of an open file, as in systemd's JOURNAL_STREAM. */
function streamId(fd: number): string {
  const { dev, ino } = fstatSync(fd)
  return `${dev}:${ino}`
}
