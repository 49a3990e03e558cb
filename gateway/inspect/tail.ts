import { statSync } from 'node:fs'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { Terminal } from '../../config/process/terminal.ts'
import { bellFile, readBell, watchBell } from '../store/file/bell.ts'
import {
  ANY_TIME,
  type OutboxScanItem,
  type OutboxView,
  openOutboxView,
} from '../store/read/outbox-view.ts'
import { eventLine, missingEventsLine, unreadableLine } from './event-text.ts'

const LOOK_EVERY_MS = 1000

export type TailOptions = {
  file: string
  zone?: string | undefined
  count: number
  follow: boolean
  json: boolean
  signal: AbortSignal
  terminal: Terminal
}

/**
 * Shows the last events as they are stored and, when following, each new one as the bell rings,
 * until the signal. Gives the exit code: 1 when something could not be read. Rejects with
 * CannotStart while there is no outbox.
 */
export async function runTail({ terminal, signal, ...options }: TailOptions): Promise<number> {
  const { file, zone, follow, json } = options
  let view = openOutboxOrFail(file)
  let at = inodeOf(file)
  let { sequence: next, more: skip } = view.findLastEvents(options.count, zone)
  let faults = 0

  const complain = (line: string) => {
    faults++
    terminal.warn(line)
  }
  const show = async (found: OutboxScanItem) => {
    if (found.kind === 'gone') return complain(missingEventsLine(found.from, found.to))
    if (found.kind === 'unreadable') return complain(unreadableLine(found.sequence, found.reason))
    if (zone !== undefined && !found.zones.some(one => one.zone === zone)) return
    const events = view.eventsOf(found.sequence, { ...ANY_TIME, zone })
    if ('reason' in events) complain(unreadableLine(found.sequence, events.reason, found.zones))
    else {
      for (const event of events.slice(skip)) {
        await terminal.printLine(json ? JSON.stringify(event) : eventLine(event))
      }
    }
    skip = 0
  }
  const showNew = async () => {
    for (const found of view.scanGroups(next, ANY_TIME)) {
      await show(found)
      if (found.kind !== 'gone') {
        next = found.sequence + (found.kind === 'group' ? found.count : 1)
      }
      if (signal.aborted && follow) return
    }
  }
  /** The outbox that stands there now, if it is another file than the one that is open. */
  const lookAgain = () => {
    const mark = readBell(bellFile(file))
    if (inodeOf(file) === at && (!mark || mark.store.equals(view.store))) return
    const other = openOutboxView(file)
    if (!other) return
    terminal.warn('another outbox stands in the place of the one before')
    if (!other.store.equals(view.store)) next = 1
    view.close()
    view = other
    at = inodeOf(file)
  }

  using stack = new DisposableStack()
  stack.defer(() => view.close())
  await showNew()
  if (!follow) return faults > 0 ? 1 : 0
  const bell = stack.adopt(watchBell(bellFile(file)), one => one.close())
  signal.addEventListener('abort', bell.wake)
  while (!signal.aborted) {
    lookAgain()
    await showNew()
    await bell.next(LOOK_EVERY_MS)
  }
  return faults > 0 ? 1 : 0
}

/** The outbox, or CannotStart with what can be done. */
export function openOutboxOrFail(file: string): OutboxView {
  const view = openOutboxView(file)
  if (!view) throw noOutboxError(file)
  return view
}

/** That there is no outbox, and what can be done. */
export function noOutboxError(file: string): CannotStart {
  const isThere = statSync(file, { throwIfNoEntry: false }) !== undefined
  const cure = isThere
    ? 'is no outbox that this user can read. Run as the user of the gateway, or name the right file'
    : 'is not there. Give the --config of the gateway, or start the gateway: it makes the file'
  return new CannotStart(`outbox.file = ${file}: ${cure}`)
}

function inodeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.ino
}
