import { createWriteStream, existsSync, renameSync, rmSync } from 'node:fs'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createEventContainer, type SensorReading } from '../../config/event/sensor-reading.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { countText } from '../../config/process/text-format.ts'
import type { EventFilter, OutboxView } from '../store/read/outbox-view.ts'
import { missingEventsLine, unreadableLine } from './event-text.ts'
import { openOutboxOrFail } from './tail.ts'

export type ExportOptions = EventFilter & {
  file: string
  format: 'jsonl' | 'avro'
  /** Where it goes; standard output when not given. */
  out?: string | undefined
  stdout: Writable
  warn(line: string): void
  signal: AbortSignal
}

/**
 * Writes the events received within the window to a file that is there only when it is whole, or
 * to standard output. Gives the exit code: 1 when a group could not be read or it was interrupted.
 * Rejects with CannotStart when there is no outbox, or the file is there already.
 */
export async function runExport(options: ExportOptions): Promise<number> {
  const { format, out, warn, signal } = options
  if (out !== undefined && existsSync(out)) {
    throw new CannotStart(`--out ${out} is there already: name another file, or remove it`)
  }
  using stack = new DisposableStack()
  const view = stack.adopt(openOutboxOrFail(options.file), one => one.close())
  const tally = { events: 0, unreadable: 0 }
  const events = eventsIn(view, options, tally, warn)
  const part = out === undefined ? null : `${out}.part`
  const target =
    part === null ? options.stdout : createWriteStream(part, { mode: 0o600, flush: true })
  const source = Readable.from(format === 'avro' ? events : linesOf(events))
  const stages = format === 'avro' ? [createEventContainer(), target] : [target]
  try {
    await pipeline([source, ...stages], { signal, end: part !== null })
    if (part !== null) renameSync(part, out!)
  } catch (error) {
    if (part !== null) rmSync(part, { force: true })
    const { code, message } = error as NodeJS.ErrnoException
    const gone = code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE'
    warn(signal.aborted ? 'interrupted' : gone ? 'nobody reads any more' : message)
    return 1
  }
  const lost = tally.unreadable > 0 ? `, ${countText(tally.unreadable, 'group')} unreadable` : ''
  warn(`${countText(tally.events, 'event')} exported${lost}`)
  return tally.unreadable > 0 ? 1 : 0
}

type Tally = { events: number; unreadable: number }

/** The events of the window, oldest first; what cannot be read is told and counted. */
function* eventsIn(
  view: OutboxView,
  window: EventFilter,
  tally: Tally,
  warn: (line: string) => void,
): Generator<SensorReading> {
  const unreadable = (line: string) => {
    tally.unreadable++
    warn(line)
  }
  for (const found of view.scanGroups(1, window)) {
    if (found.kind === 'gone') warn(missingEventsLine(found.from, found.to))
    else if (found.kind === 'unreadable') unreadable(unreadableLine(found.sequence, found.reason))
    else {
      const events = view.eventsOf(found.sequence, window)
      if ('reason' in events) {
        unreadable(unreadableLine(found.sequence, events.reason, found.zones))
        continue
      }
      tally.events += events.length
      yield* events
    }
  }
}

function* linesOf(events: Iterable<SensorReading>): Generator<string> {
  for (const event of events) yield `${JSON.stringify(event)}\n`
}
