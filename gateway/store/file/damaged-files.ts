import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { removeDamageMark } from './damage-mark.ts'

const SETS_MAX = 2

/** A damaged file that was moved aside, and when (compact ISO 8601 time, UTC, milliseconds). */
export type SetAsideFile = { file: string; time: string }

/** Where the file that shall take the place of `file` is built. */
export const rebuildFileOf = (file: string) => `${file}.healing`
/** Where it lies once it is complete and on disk: from then on it is the truth. */
const completeFile = (file: string, time: string) => `${file}.healed-${time}`
const asideFile = (file: string, time: string) => `${file}.damaged-${time}`

/** The damaged files that were moved aside from `file` and are still kept, the newest first. */
export function setAsideFilesOf(file: string): SetAsideFile[] {
  return timesOf(asideFile(file, '')).map(time => ({ file: asideFile(file, time), time }))
}

/** What somebody should know of the damaged files that are still kept, one sentence each. */
export function damageAlarms(what: 'outbox' | 'inbox', asides: readonly SetAsideFile[]): string[] {
  const done = what === 'outbox' ? 'salvaged' : 'begun anew'
  return asides.map(
    aside =>
      `the ${what} was damaged and ${done} at ${plain(aside.time)}; ` +
      `the damaged file is kept until somebody removes it: ${aside.file}`,
  )
}

/** When the newest was moved aside, in ms since 1970; 0 for never. */
export function lastSetAsideMs([newest]: readonly SetAsideFile[]): number {
  return newest ? Date.parse(plain(newest.time)) : 0
}

/** A new name to move `file` aside to, newer than those there are, whatever the clock says. */
export function nextSetAsideFile(file: string, nowMs: number): SetAsideFile {
  const time = compact(new Date(Math.max(nowMs, lastSetAsideMs(setAsideFilesOf(file)) + 1)))
  return { file: asideFile(file, time), time }
}

/**
 * Puts the complete file in place of the damaged one, which is kept aside. Power may go at any
 * step: `finishExchange` goes on from there.
 */
export function replaceDamagedFile(file: string, { time }: SetAsideFile): void {
  syncFile(rebuildFileOf(file))
  renameSync(rebuildFileOf(file), completeFile(file, time))
  syncDirectory(file)
  finishReplacement(file)
}

/** Finishes an exchange that was cut short, if there is one, and removes an unfinished building. */
export function finishReplacement(file: string): void {
  const [time] = timesOf(completeFile(file, ''))
  if (time !== undefined) {
    // What SQLite only keeps for itself, or has not begun, is worth nothing.
    rmSync(`${file}-shm`, { force: true })
    if (sizeOf(`${file}-wal`) === 0) rmSync(`${file}-wal`)
    for (const end of ['-wal', '']) {
      if (sizeOf(file + end) !== null) renameSync(file + end, asideFile(file, time) + end)
    }
    // The new file must not stand beside the old write-ahead log, in whatever order names are kept.
    syncDirectory(file)
    renameSync(completeFile(file, time), file)
    syncDirectory(file)
    removeDamageMark(file)
    syncDirectory(file)
  }
  removeSet(rebuildFileOf(file))
}

/** Removes the oldest of the files that were moved aside, so that one more may be kept. */
export function removeOldSetAsideFiles(file: string): void {
  for (const { file: old } of setAsideFilesOf(file).slice(SETS_MAX - 1)) removeSet(old)
}

function removeSet(file: string): void {
  for (const end of ['-journal', '-wal', '-shm', '']) rmSync(file + end, { force: true })
}

/** What is behind a path's beginning in the names of its directory, where it is a time. */
function timesOf(start: string): string[] {
  const times = readdirSync(dirname(start))
    .filter(name => name.startsWith(basename(start)))
    .map(name => name.slice(basename(start).length))
  return times
    .filter(time => /^\d{8}T\d{9}Z$/.test(time))
    .sort()
    .reverse()
}

function sizeOf(file: string): number | null {
  return statSync(file, { throwIfNoEntry: false })?.size ?? null
}

const compact = (date: Date) => date.toISOString().replace(/[-:.]/g, '')

/** The ISO 8601 time that a name stands for. */
function plain(time: string): string {
  return time.replace(/^(....)(..)(..T..)(..)(..)(...Z)$/, '$1-$2-$3:$4:$5.$6')
}

function syncFile(file: string): void {
  const descriptor = openSync(file, 'r+')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

function syncDirectory(file: string): void {
  const descriptor = openSync(join(dirname(file), '.'), 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
