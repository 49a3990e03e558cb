import { createWriteStream, existsSync, renameSync, rmSync } from 'node:fs'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createEventContainer, type SensorReading } from '../../config/event/sensor-reading.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { countText } from '../../config/process/text-format.ts'
import type { EventFilter, OutboxView } from '../store/read/outbox-view.ts'
import { missingEventsLine, unreadableLine } from './event-text.ts'
import { openOutboxOrFail } from './tail.ts'

export type ExportOptions = EventFilter & {
  file: string
  format: 'jsonl' | 'avro'
  /** The file to create; standard output when not given. */
  out?: string | undefined
  stdout: Writable
  warn(line: string): void
  signal: AbortSignal
}

/**
 * Writes the events that match the filter to a file, which exists only once it is complete, or to
 * standard output. Returns the exit code: 1 when a group could not be read, or when the export
 * failed or was interrupted. Rejects with CannotStart when there is no outbox, or when the `out`
 * file exists already.
 */
export async function runExport(options: ExportOptions): Promise<number> {
  const { format, out, warn, signal } = options
  if (out !== undefined && existsSync(out)) {
    throw new CannotStart(`--out ${out} exists already: name another file, or remove the file`)
  }
  using stack = new DisposableStack()
  const view = stack.adopt(openOutboxOrFail(options.file), view => view.close())
  const tally = { events: 0, unreadable: 0 }
  const events = readEvents(view, options, tally, warn)
  const partialFile = out === undefined ? null : `${out}.part`
  const target =
    partialFile === null
      ? options.stdout
      : createWriteStream(partialFile, { mode: 0o600, flush: true })
  const source = Readable.from(format === 'avro' ? events : jsonLines(events))
  const stages = format === 'avro' ? [createEventContainer(), target] : [target]
  try {
    await pipeline([source, ...stages], { signal, end: partialFile !== null })
    if (partialFile !== null) renameSync(partialFile, out!)
  } catch (error) {
    if (partialFile !== null) rmSync(partialFile, { force: true })
    const { code, message } = error as NodeJS.ErrnoException
    const isClosed = code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE'
    if (signal.aborted) warn('interrupted')
    else if (!isClosed) warn(out === undefined ? message : outText(out, code, message))
    return exitStatusOf('ERR_NEGATIVE')
  }
  const unreadable =
    tally.unreadable > 0 ? `, ${countText(tally.unreadable, 'group')} unreadable` : ''
  warn(`${countText(tally.events, 'event')} exported${unreadable}`)
  return exitStatusOf(tally.unreadable > 0 ? 'ERR_NEGATIVE' : 'DONE')
}

/** The cures for errors of the file system at --out. */
const OUT_CURES: Record<string, string> = {
  ENOENT: 'Create its directory, or name another file',
  ENOTDIR: 'Name a file in a directory',
  EACCES: 'Name a file in a directory that this user may write',
  EPERM: 'Name a file in a directory that this user may write',
  EROFS: 'Name a file on a disk that can be written',
  ENOSPC: 'Free some space on that disk, or name a file on another disk',
  EDQUOT: 'Free some space on that disk, or name a file on another disk',
}

/** Names the option, the file and the cure of an error while the export is written. */
function outText(out: string, code: string | undefined, message: string): string {
  const cure = OUT_CURES[code ?? '']
  return cure === undefined ? message : `--out ${out}: ${message}. ${cure}`
}

type Tally = { events: number; unreadable: number }

/**
 * Yields the events that match the filter, oldest first. Counts yielded events and unreadable
 * groups in `tally`, and warns of unreadable groups and missing events.
 */
function* readEvents(
  view: OutboxView,
  filter: EventFilter,
  tally: Tally,
  warn: (line: string) => void,
): Generator<SensorReading> {
  const onUnreadable = (line: string) => {
    tally.unreadable++
    warn(line)
  }
  for (const item of view.scanGroups(1, filter)) {
    if (item.kind === 'gone') warn(missingEventsLine(item.from, item.to))
    else if (item.kind === 'unreadable') onUnreadable(unreadableLine(item.sequence, item.reason))
    else {
      const events = view.eventsOf(item.sequence, filter)
      if ('reason' in events) {
        onUnreadable(unreadableLine(item.sequence, events.reason, item.zones))
        continue
      }
      tally.events += events.length
      yield* events
    }
  }
}

function* jsonLines(events: Iterable<SensorReading>): Generator<string> {
  for (const event of events) yield `${JSON.stringify(event)}\n`
}
