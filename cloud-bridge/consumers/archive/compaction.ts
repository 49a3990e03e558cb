import { createHash } from 'node:crypto'
import { readCommittedFile } from './committed-files.ts'
import { DAY_MS, filePathOf, NO_DATE, parsePath, utcDateOf } from './files/paths.ts'
import { type CompactedFile, sha256 } from './manifest/entry.ts'
import type { NamedFile } from './manifest/hash-chain.ts'
import type { ArchivedEvent } from './parquet/columns.ts'
import { EventColumns, readParquet } from './parquet/parquet.ts'

/**
 * The most events of a compacted file. Compaction has all events of one file in memory, twice for a
 * moment.
 */
const FILE_MAX_EVENTS = 50_000
/**
 * Files whose commits are further apart stay separate, because one file is deleted as a whole
 * (`keepDays`).
 */
const COMMIT_DAYS_MAX = 1

/** Files that become one file: events of one topic, date and zone, in order of their offsets. */
export type FilesToMerge = readonly NamedFile[]

/** The compacted file with its contents, and the paths of the files that it replaces. */
export type MergedFile = {
  file: CompactedFile & { contents: Uint8Array }
  replaced: string[]
}

/** The merged file does not have the events of the files, so the files must stay. */
export class CannotMerge extends Error {}

/**
 * Plans which files of a partition are merged: small files with events of one topic, zone and date,
 * for dates before `day`. A file in the folder `zone=Z` of earlier versions is included alone, so
 * that it gets a new path.
 */
export function planCompaction(named: Iterable<NamedFile>, day: string): FilesToMerge[] {
  const groups = Map.groupBy(named, ({ name }) => {
    const path = parsePath(name)
    if (!path || (path.date >= day && path.date !== NO_DATE)) return null
    return JSON.stringify([path.date, path.zone, path.topic])
  })
  groups.delete(null)
  return [...groups.values()].flatMap(splitIntoRuns)
}

function splitIntoRuns(files: NamedFile[]): FilesToMerge[] {
  const runs: NamedFile[][] = []
  let rows = 0
  for (const file of files.toSorted((a, b) => a.first - b.first)) {
    const run = runs.at(-1)
    const fits = rows + file.rows <= FILE_MAX_EVENTS
    if (run && fits && daysOf([...run, file]) <= COMMIT_DAYS_MAX) {
      run.push(file)
      rows += file.rows
    } else {
      runs.push([file])
      rows = file.rows
    }
  }
  return runs.filter(([first, second]) => second || parsePath(first!.name)!.isOldForm)
}

/** How many days are between the first and the last commit of some files. */
function daysOf(files: FilesToMerge): number {
  const days = files.map(({ day }) => Date.parse(day) / DAY_MS)
  return Math.max(...days) - Math.min(...days)
}

/**
 * Merges files, and compares all events of the merged file with the events of the files. Rejects
 * with NotAsCommitted when a file was changed since its commit, and with CannotMerge when the
 * events differ.
 */
export async function mergeFiles(dir: string, files: FilesToMerge): Promise<MergedFile> {
  const columns = new EventColumns()
  const events = createEventDigest()
  let firstRow: ArchivedEvent | undefined
  for (const file of files) {
    for (const row of await readCommittedFile(dir, file)) {
      firstRow ??= row
      columns.add(row)
      events.add(row)
    }
  }
  const contents = columns.toParquet({ isSmall: true })
  const merged = createEventDigest()
  for (const row of await readParquet(contents)) merged.add(row)
  if (merged.digest() !== events.digest()) {
    throw new CannotMerge(`${files[0]!.name}: the merged file has other events`)
  }
  const { event, topic, partition } = firstRow!
  const [first, last] = [files[0]!.first, files.at(-1)!.last]
  const date = utcDateOf(event.receivedAt)
  const name = filePathOf({ date, zone: event.zone, topic, partition, first, last })
  const day = files
    .map(file => file.day)
    .sort()
    .at(-1)!
  const hash = { bytes: contents.length, sha256: sha256(contents) }
  const file = { ...{ name, rows: columns.rows, first, last }, ...hash, day, contents }
  return { file, replaced: files.map(old => old.name) }
}

/** A digest of a sequence of events with all their fields. */
function createEventDigest() {
  const hash = createHash('sha256')
  return {
    add: (row: ArchivedEvent) => void hash.update(`${JSON.stringify(row, keepMinusZero)}\n`),
    digest: () => hash.digest('hex'),
  }
}

/** JSON has no minus zero. */
const keepMinusZero = (_: string, value: unknown) => (Object.is(value, -0) ? '-0' : value)
