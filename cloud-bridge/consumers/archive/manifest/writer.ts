import { place } from '../files/atomic-write.ts'
import type { Disk } from '../files/durable-filesystem.ts'
import { dateOf } from '../files/paths.ts'
import { dayFile, daysOf, linesOf } from './day-files.ts'
import { type Entry, type Hashed, type Line, lineText, type Next, NO_LINE } from './entry.ts'
import { CameSet } from './event-set.ts'

export type TipOptions = {
  folder: string
  partition: number
  disk: Disk
  /** A day began: all before it can be checked against the hash. */
  onSealed(day: string, sha256: string): void
}

export type Tip = Awaited<ReturnType<typeof openTip>>

/**
 * The end of a manifest, where it is written: its newest file, which begins with all that went
 * before. Rejects when a line of it was changed; one that is torn counts for nothing.
 */
export async function openTip({ folder, partition, disk, onSealed }: TipOptions) {
  const tip = {
    day: '',
    number: 0,
    sha256: NO_LINE,
    files: 0,
    rows: 0,
    keptFrom: null as string | null,
    next: {} as Next,
    came: new CameSet(),
  }
  let lengthBytes = 0
  const follow = (line: Hashed, end: number) => {
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
  const written = (entry: Entry): { line: Hashed; bytes: Buffer } => {
    const { number, sha256: before } = tip
    const line = { number: number + 1, at: new Date().toISOString(), before, ...entry } as Line
    const { text, sha256 } = lineText(line)
    return { line: { ...line, sha256 }, bytes: Buffer.from(`${text}\n`) }
  }
  const seal = async (day: string) => {
    const { files, rows, keptFrom, next, came } = tip
    const all = { files, rows, keptFrom, next, came: came.all }
    const { line, bytes } = written({ kind: 'seal', partition, ...all })
    await place(disk, dayFile(folder, day), bytes)
    await disk.syncFolder(folder)
    tip.day = day
    follow(line, bytes.length)
    onSealed(day, line.sha256)
  }

  const day = (await daysOf(folder)).at(-1)
  if (day === undefined) await seal(dateOf(Date.now()))
  else {
    tip.day = day
    for (const [at, { line, end }] of (await linesOf(folder, day)).entries()) {
      const isNext = at === 0 ? line?.kind === 'seal' : line?.before === tip.sha256
      if (!line || !isNext) throw damaged(dayFile(folder, day), at + 1)
      follow(line, end)
    }
    if (lengthBytes === 0) throw damaged(dayFile(folder, day), 1)
  }
  return Object.assign(tip, {
    seal,
    /** The commit point: once this resolves, the line is part of the archive. */
    async append(entry: Entry): Promise<void> {
      const { line, bytes } = written(entry)
      await disk.append(dayFile(folder, tip.day), lengthBytes, bytes)
      follow(line, lengthBytes + bytes.length)
    },
    /** Removes what an append that broke off may have left behind the end. */
    cut: () => disk.cut(dayFile(folder, tip.day), lengthBytes),
  })
}

function damaged(file: string, line: number): Error {
  return new Error(
    `${file}: line ${line} was changed since it was written, so nothing can be added behind it. ` +
      './sluice archive verify names all that was changed. Put the file back as it was',
  )
}
