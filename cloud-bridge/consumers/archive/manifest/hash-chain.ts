import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { dayFilePath, listDays, manifestFolder, parseLines } from './day-files.ts'
import {
  type Commit,
  type Deletion,
  type FileEntry,
  type HashedLine,
  type NextOffsets,
  NO_PREVIOUS_HASH,
  type Seal,
} from './entry.ts'
import { countEvents, EventSet } from './event-set.ts'

/** A file that the manifest names, and the line that does. */
export type NamedFile = FileEntry & { day: string; line: string }

/** What a manifest says, and where it is not as it was written. */
export type ManifestChain = {
  named: Map<string, NamedFile>
  /** The hash of each line, by its number. */
  hashes: Map<number, string>
  last: { number: number; sha256: string }
  keptFrom: string | null
  rows: number
  faults: string[]
  /** What the next claim mends. */
  remarks: string[]
}

/** Reads all of a partition's manifest, and checks that each line follows from those before it. */
export async function readChain(dir: string, partition: number): Promise<ManifestChain> {
  const folder = manifestFolder(dir, partition)
  const check = startCheck()
  for (const day of await listDays(folder)) {
    const file = dayFilePath(folder, day).slice(join(dir, '/').length)
    const bytes = await readFile(dayFilePath(folder, day))
    const lines = parseLines(bytes)
    for (const [at, { line }] of lines.entries()) {
      check.line(line, { day, isFirst: at === 0, place: `${file} line ${at + 1}` })
    }
    if (lines.length === 0) check.chain.faults.push(`${file}: has no line`)
    else if (lines.at(-1)!.end < bytes.length) {
      check.chain.remarks.push(`${file}: its last line is torn; the next claim cuts it off`)
    }
  }
  return check.chain
}

type At = { day: string; isFirst: boolean; place: string }

function startCheck() {
  const chain: ManifestChain = {
    named: new Map(),
    hashes: new Map(),
    last: { number: 0, sha256: NO_PREVIOUS_HASH },
    keptFrom: null,
    rows: 0,
    faults: [],
    remarks: [],
  }
  const total = { files: 0, rows: 0 }
  const came = new EventSet()
  let next: NextOffsets = {}
  /** Behind a line that cannot be read, what came before is not known. */
  let isKnown = true

  const commit = (line: Commit, { day, place }: At) => {
    const rows = line.files.reduce((sum, file) => sum + file.rows, 0)
    if (rows !== countEvents(line.came)) {
      chain.faults.push(
        `${place}: its files have ${rows} events, its intervals ${countEvents(line.came)}`,
      )
    }
    const isNew = line.came.map(one => came.addAll(one))
    if (isNew.includes(false)) chain.faults.push(`${place}: brings events that are there already`)
    for (const file of line.files) chain.named.set(file.name, { ...file, day, line: place })
    next = line.next
    total.files += line.files.length
    total.rows += rows
    chain.rows += rows
  }
  const seal = (line: Seal, { place }: At) => {
    const { keptFrom } = chain
    const said = { files: line.files, rows: line.rows, keptFrom: line.keptFrom, next: line.next }
    const isSo = isDeepStrictEqual(said, { ...total, keptFrom, next })
    if (isKnown && !(isSo && isDeepStrictEqual(sorted(line.came), sorted(came.intervals)))) {
      chain.faults.push(`${place}: the seal says other than the lines before it`)
    }
    for (const one of line.came) came.addAll(one)
    next = line.next
    Object.assign(total, { files: line.files, rows: line.rows })
    chain.keptFrom = line.keptFrom
  }
  const letGo = ({ keptFrom, files, rows }: Deletion, { place }: At) => {
    const gone = [...chain.named.values()].filter(({ day }) => day < keptFrom)
    const found = { files: gone.length, rows: gone.reduce((sum, one) => sum + one.rows, 0) }
    if (isKnown && !isDeepStrictEqual(found, { files, rows })) {
      chain.faults.push(`${place}: lets go of ${rows} events, where there were ${found.rows}`)
    }
    for (const { name } of gone) chain.named.delete(name)
    chain.keptFrom = keptFrom
    chain.rows -= found.rows
  }
  return {
    chain,
    line(line: HashedLine | null, at: At): void {
      const { last, faults, hashes } = chain
      if (!line) {
        faults.push(`${at.place}: changed since it was written`)
        chain.last = { number: Number.NaN, sha256: '' }
        isKnown = false
        return
      }
      const follows = line.before === last.sha256 && line.number === last.number + 1
      if (last.sha256 !== '' && !follows) {
        faults.push(`${at.place}: what stood before it was removed or replaced`)
        isKnown = false
      }
      if (at.isFirst !== (line.kind === 'seal'))
        faults.push(`${at.place}: not where it was written`)
      chain.last = { number: line.number, sha256: line.sha256 }
      hashes.set(line.number, line.sha256)
      if (line.kind === 'commit') commit(line, at)
      else if (line.kind === 'seal') seal(line, at)
      else letGo(line, at)
      if (line.kind === 'seal') isKnown = true
    },
  }
}

const sorted = (came: readonly unknown[]) => came.map(one => JSON.stringify(one)).sort()
