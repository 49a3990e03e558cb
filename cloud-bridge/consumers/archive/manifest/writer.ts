import { writeAtomically } from '../files/atomic-write.ts'
import type { DurableFilesystem } from '../files/durable-filesystem.ts'
import { utcDateOf } from '../files/paths.ts'
import { dayFilePath, listDays, readLines } from './day-files.ts'
import {
  type HashedLine,
  lineText,
  type ManifestEntry,
  type ManifestLine,
  type NextOffsets,
  NO_PREVIOUS_HASH,
} from './entry.ts'
import { EventSet } from './event-set.ts'

export type ManifestWriterOptions = {
  folder: string
  partition: number
  disk: DurableFilesystem
  /**
   * Called when the first line of a day, the seal, is written. Its hash proves all lines before it.
   */
  onSealed(day: string, sha256: string): void
}

export type ManifestWriter = Awaited<ReturnType<typeof createManifestWriter>>

/**
 * Creates the writer of a manifest from its newest day file, which begins with a summary of all
 * days before. What an interrupted append left at the end is ignored. Rejects when a line of that
 * file was changed.
 */
export async function createManifestWriter(options: ManifestWriterOptions) {
  const { folder, partition, disk, onSealed } = options
  const tip = {
    day: '',
    number: 0,
    sha256: NO_PREVIOUS_HASH,
    files: 0,
    rows: 0,
    keptFrom: null as string | null,
    nextOffsets: {} as NextOffsets,
    events: new EventSet(),
    /** The paths of the files that compactions of this day replaced. */
    replaced: [] as string[],
  }
  let lengthBytes = 0
  const follow = (line: HashedLine, end: number) => {
    lengthBytes = end
    Object.assign(tip, { number: line.number, sha256: line.sha256 })
    if (line.kind === 'compact') {
      tip.replaced.push(...line.replaced)
      return
    }
    if (line.kind !== 'commit') tip.keptFrom = line.keptFrom
    if (line.kind === 'let go') return
    tip.nextOffsets = line.next
    for (const interval of line.came) tip.events.addAll(interval)
    if (line.kind === 'seal') Object.assign(tip, { files: line.files, rows: line.rows })
    else {
      tip.files += line.files.length
      tip.rows += line.files.reduce((sum, { rows }) => sum + rows, 0)
    }
  }
  const createLine = (entry: ManifestEntry): { line: HashedLine; bytes: Buffer } => {
    const { number, sha256: before } = tip
    const line = {
      number: number + 1,
      at: new Date().toISOString(),
      before,
      ...entry,
    } as ManifestLine
    const { text, sha256 } = lineText(line)
    return { line: { ...line, sha256 }, bytes: Buffer.from(`${text}\n`) }
  }
  /** Begins the file of a day with a seal: a summary of all lines before. */
  const seal = async (day: string) => {
    const { files, rows, keptFrom, nextOffsets, events } = tip
    const summary = { files, rows, keptFrom, next: nextOffsets, came: events.intervals }
    const { line, bytes } = createLine({ kind: 'seal', partition, ...summary })
    await writeAtomically(disk, dayFilePath(folder, day), bytes)
    await disk.syncFolder(folder)
    Object.assign(tip, { day, replaced: [] })
    follow(line, bytes.length)
    onSealed(day, line.sha256)
  }

  const newestDay = (await listDays(folder)).at(-1)
  if (newestDay === undefined) await seal(utcDateOf(Date.now()))
  else {
    tip.day = newestDay
    const file = dayFilePath(folder, newestDay)
    for (const [index, { line, end }] of (await readLines(folder, newestDay)).entries()) {
      const isNext = index === 0 ? line?.kind === 'seal' : line?.before === tip.sha256
      if (!line || !isNext) throw createDamageError(file, index + 1)
      follow(line, end)
    }
    if (lengthBytes === 0) throw createDamageError(file, 1)
  }
  return Object.assign(tip, {
    seal,
    /** Appends a line. The line is part of the archive once the returned promise resolves. */
    async append(entry: ManifestEntry): Promise<void> {
      const { line, bytes } = createLine(entry)
      await disk.append(dayFilePath(folder, tip.day), lengthBytes, bytes)
      follow(line, lengthBytes + bytes.length)
    },
    /** Removes the bytes that an interrupted append may have written after the last line. */
    truncate: () => disk.truncate(dayFilePath(folder, tip.day), lengthBytes),
  })
}

function createDamageError(file: string, line: number): Error {
  return new Error(
    `${file}: line ${line} was changed since it was written, so no line can be appended. ` +
      './sluice archive verify lists all changes. Restore the file from a backup',
  )
}
