import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { removeDamageMark } from './damage-mark.ts'

/** How many damaged files, each with its write-ahead log, are kept. */
const SETS_MAX = 2

/**
 * A damaged file that was set aside. `time` is when, as compact ISO 8601 time in UTC with
 * milliseconds.
 */
export type SetAsideFile = { file: string; time: string }

/** The path at which the new file that replaces the damaged `file` is built. */
export const rebuildFileOf = (file: string) => `${file}.healing`
/**
 * The path of the new file once it is complete and durable. From then on, this file is valid and
 * the damaged file is not.
 */
const completeFileOf = (file: string, time: string) => `${file}.healed-${time}`
const setAsideFileOf = (file: string, time: string) => `${file}.damaged-${time}`

/** The damaged versions of `file` that were set aside and are still kept, the newest first. */
export function setAsideFilesOf(file: string): SetAsideFile[] {
  return timesAfter(setAsideFileOf(file, '')).map(time => ({
    file: setAsideFileOf(file, time),
    time,
  }))
}

/** Returns one alarm, a sentence, for each damaged file that was set aside and still exists. */
export function damageAlarms(
  store: 'outbox' | 'inbox',
  setAsideFiles: readonly SetAsideFile[],
): string[] {
  const outcome = store === 'outbox' ? 'salvaged' : 'replaced'
  return setAsideFiles.map(
    ({ file, time }) =>
      `the ${store} was damaged and ${outcome} at ${plainTime(time)}; ` +
      `the damaged file is kept until somebody removes it: ${file}`,
  )
}

/** When the newest damaged file was set aside, in ms since 1970; 0 when there is none. */
export function lastSetAsideMs([newest]: readonly SetAsideFile[]): number {
  return newest ? Date.parse(plainTime(newest.time)) : 0
}

/**
 * The name under which the damaged `file` will be set aside. Its time is later than the times in
 * all existing names, even when the clock went backwards.
 */
export function nextSetAsideFile(file: string, nowMs: number): SetAsideFile {
  const time = compactTime(new Date(Math.max(nowMs, lastSetAsideMs(setAsideFilesOf(file)) + 1)))
  return { file: setAsideFileOf(file, time), time }
}

/**
 * Sets the damaged file aside and moves the rebuilt file to the path of the damaged file. After a
 * power cut at any step, `finishReplacement` completes the replacement.
 */
export function replaceDamagedFile(file: string, { time }: SetAsideFile): void {
  syncFile(rebuildFileOf(file))
  renameSync(rebuildFileOf(file), completeFileOf(file, time))
  syncDirectory(file)
  finishReplacement(file)
}

/**
 * Completes the replacement of a damaged file that was interrupted, if there is one, and removes a
 * new file that is incomplete.
 */
export function finishReplacement(file: string): void {
  const [time] = timesAfter(completeFileOf(file, ''))
  if (time !== undefined) {
    // The shared-memory file and an empty WAL hold no data.
    rmSync(`${file}-shm`, { force: true })
    if (sizeOf(`${file}-wal`) === 0) rmSync(`${file}-wal`)
    for (const suffix of ['-wal', '']) {
      if (sizeOf(file + suffix) !== null)
        renameSync(file + suffix, setAsideFileOf(file, time) + suffix)
    }
    // The directory is synced between the renames, because a disk may make renames durable in any
    // order. The new file must never be stored beside the WAL of the damaged file.
    syncDirectory(file)
    renameSync(completeFileOf(file, time), file)
    syncDirectory(file)
    removeDamageMark(file)
    syncDirectory(file)
  }
  removeSet(rebuildFileOf(file))
}

/** Removes the oldest files that were set aside, so that one more damaged file can be kept. */
export function removeOldSetAsideFiles(file: string): void {
  for (const { file: old } of setAsideFilesOf(file).slice(SETS_MAX - 1)) removeSet(old)
}

function removeSet(file: string): void {
  for (const suffix of ['-journal', '-wal', '-shm', '']) rmSync(file + suffix, { force: true })
}

/**
 * Returns the times at the ends of all file names that begin with the name of `start`, the newest
 * first.
 */
function timesAfter(start: string): string[] {
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

const compactTime = (date: Date) => date.toISOString().replace(/[-:.]/g, '')

/** Converts the compact time of a file name to an ISO 8601 time. */
function plainTime(time: string): string {
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
