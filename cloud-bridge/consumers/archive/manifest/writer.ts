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
  /** A day began: all before it can be checked against the hash. */
  onSealed(day: string, sha256: string): void
}

export type ManifestWriter = Awaited<ReturnType<typeof createManifestWriter>>

/**
 * The end of a manifest, where it is written: its newest file, which begins with all that went
 * before. Rejects when a line of it was changed; one that is torn counts for nothing.
 */
export async function createManifestWriter({
  folder,
  partition,
  disk,
  onSealed,
}: ManifestWriterOptions) {
  const tip = {
    day: '',
    number: 0,
    sha256: NO_PREVIOUS_HASH,
    files: 0,
    rows: 0,
    keptFrom: null as string | null,
    next: {} as NextOffsets,
    came: new EventSet(),
  }
  let lengthBytes = 0
  const follow = (line: HashedLine, end: number) => {
    lengthBytes = end
    Object.assign(tip, { number: line.number, sha256: line.sha256 })
    if (line.kind !== 'commit') tip.keptFrom = line.keptFrom
    if (line.kind === 'let go') return
    tip.next = line.next
    for (const one of line.came) tip.came.addAll(one)
    if (line.kind === 'seal') Object.assign(tip, { files: line.files, rows: line.rows })
    else {
      tip.files += line.files.length
      tip.rows += line.files.reduce((sum, { rows }) => sum + rows, 0)
    }
  }
  const written = (entry: ManifestEntry): { line: HashedLine; bytes: Buffer } => {
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
  const seal = async (day: string) => {
    const { files, rows, keptFrom, next, came } = tip
    const all = { files, rows, keptFrom, next, came: came.intervals }
    const { line, bytes } = written({ kind: 'seal', partition, ...all })
    await writeAtomically(disk, dayFilePath(folder, day), bytes)
    await disk.syncFolder(folder)
    tip.day = day
    follow(line, bytes.length)
    onSealed(day, line.sha256)
  }

  const day = (await listDays(folder)).at(-1)
  if (day === undefined) await seal(utcDateOf(Date.now()))
  else {
    tip.day = day
    for (const [at, { line, end }] of (await readLines(folder, day)).entries()) {
      const isNext = at === 0 ? line?.kind === 'seal' : line?.before === tip.sha256
      if (!line || !isNext) throw damaged(dayFilePath(folder, day), at + 1)
      follow(line, end)
    }
    if (lengthBytes === 0) throw damaged(dayFilePath(folder, day), 1)
  }
  return Object.assign(tip, {
    seal,
    /** The commit point: once this resolves, the line is part of the archive. */
    async append(entry: ManifestEntry): Promise<void> {
      const { line, bytes } = written(entry)
      await disk.append(dayFilePath(folder, tip.day), lengthBytes, bytes)
      follow(line, lengthBytes + bytes.length)
    },
    /** Removes what an append that broke off may have left behind the end. */
    cut: () => disk.cut(dayFilePath(folder, tip.day), lengthBytes),
  })
}

function damaged(file: string, line: number): Error {
  return new Error(
    `${file}: line ${line} was changed since it was written, so nothing can be added behind it. ` +
      './sluice archive verify names all that was changed. Put the file back as it was',
  )
}
