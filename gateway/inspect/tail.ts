import { statSync } from 'node:fs'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { Terminal } from '../../config/process/terminal.ts'
import { bellFile, readBell, watchBell } from '../store/file/bell.ts'
import {
  ANY_TIME,
  type OutboxScanItem,
  type OutboxView,
  openOutboxView,
} from '../store/read/outbox-view.ts'
import { checkStore } from '../store/read/store-check.ts'
import { eventLine, missingEventsLine, unreadableLine } from './event-text.ts'

const CHECK_EVERY_MS = 1000

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
 * Shows the last events of the outbox. With `follow`, also shows each new event when the bell
 * rings, until the signal aborts. Returns the exit code: 1 when a group could not be read or events
 * are missing. Rejects with CannotStart when there is no outbox.
 */
export async function runTail({ terminal, signal, ...options }: TailOptions): Promise<number> {
  const { file, zone, follow, json } = options
  const firstView = openOutboxOrFail(file)
  let view = firstView
  let inode = inodeOf(file)
  const found = view.findLastEvents(options.count, zone)
  let next = found.sequence
  /** Without `follow` the events of this moment are shown, and none that is stored meanwhile. */
  const last = follow ? undefined : found.last
  let faults = 0

  const warnOfFault = (line: string) => {
    faults++
    terminal.warn(line)
  }
  const show = async (item: OutboxScanItem) => {
    if (item.kind === 'gone') return warnOfFault(missingEventsLine(item.from, item.to))
    if (item.kind === 'unreadable') {
      return warnOfFault(unreadableLine(item.sequence, item.reason))
    }
    if (zone !== undefined && !item.zones.some(range => range.zone === zone)) return
    const events = view.eventsOf(item.sequence, { ...ANY_TIME, zone })
    if ('reason' in events) {
      warnOfFault(unreadableLine(item.sequence, events.reason, item.zones))
    } else {
      const isFirst = item.sequence === found.sequence && view === firstView
      for (const event of events.slice(isFirst ? found.skip : 0)) {
        await terminal.printLine(json ? JSON.stringify(event) : eventLine(event))
      }
    }
  }
  const showNew = async () => {
    for (const item of view.scanGroups(next, ANY_TIME, last)) {
      await show(item)
      if (item.kind !== 'gone') {
        next = item.sequence + (item.kind === 'group' ? item.count : 1)
      }
      if (signal.aborted && follow) return
    }
  }
  /** Opens the outbox again when another file has replaced it. */
  const reopenIfReplaced = () => {
    const mark = readBell(bellFile(file))
    if (inodeOf(file) === inode && (!mark || mark.store.equals(view.store))) return
    const replacement = openOutboxView(file)
    if (!replacement) return
    terminal.warn('the outbox was replaced by another file')
    if (!replacement.store.equals(view.store)) next = 1
    view.close()
    view = replacement
    inode = inodeOf(file)
  }

  using stack = new DisposableStack()
  stack.defer(() => view.close())
  await showNew()
  if (!follow) return exitStatusOf(faults > 0 ? 'ERR_NEGATIVE' : 'DONE')
  const bell = stack.adopt(watchBell(bellFile(file)), bell => bell.close())
  signal.addEventListener('abort', bell.wake)
  while (!signal.aborted) {
    reopenIfReplaced()
    await showNew()
    await bell.next(CHECK_EVERY_MS)
  }
  return exitStatusOf(faults > 0 ? 'ERR_NEGATIVE' : 'DONE')
}

/** Opens the outbox; throws CannotStart with a cure when there is no outbox that can be read. */
export function openOutboxOrFail(file: string): OutboxView {
  const view = openOutboxView(file)
  if (!view) throw noOutboxError(file)
  return view
}

/** The error for a missing or unreadable outbox, with its cure. */
export function noOutboxError(file: string): CannotStart {
  return new CannotStart(`outbox.file = ${file}: ${noOutboxText(file)}`)
}

function noOutboxText(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false })
  if (!stats) {
    return 'is not there. Give the --config of the gateway, or start the gateway: it makes the file'
  }
  if (stats.isDirectory()) return 'this path is a directory. Name the outbox of the gateway'
  const store = checkStore('outbox', file)
  if (store.state === 'foreign') return `${store.fault}. Name the outbox of the gateway`
  const cure = 'Run as the user of the gateway, or name the right file'
  return `is no outbox that this user can read. ${cure}`
}

function inodeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.ino
}
