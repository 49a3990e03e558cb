import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { dayFilePath, listDays, manifestFolder, parseLines } from './day-files.ts'
import {
  type Commit,
  type Compaction,
  type Deletion,
  type FileEntry,
  type HashedLine,
  type NextOffsets,
  NO_PREVIOUS_HASH,
  type Seal,
} from './entry.ts'
import { countEvents, type EventInterval, EventSet } from './event-set.ts'

/**
 * A file that the manifest names, with the day of its commit (after a compaction, of its newest
 * commit) and the place of the line that names the file.
 */
export type NamedFile = FileEntry & { day: string; line: string }

/** Who removes a leftover of a crash. */
export const LEFTOVER_CURE = 'the next member that owns the partition removes it'

/** The content of a manifest, and the places (`faults`) where the manifest was changed. */
export type ManifestChain = {
  /** The files that were committed and not deleted, by name. */
  named: Map<string, NamedFile>
  /** The paths of files that a compaction replaced; a crash may have left some of them. */
  replaced: Set<string>
  /** The hash of each line, by its number. */
  hashes: Map<number, string>
  last: { number: number; sha256: string }
  /** Files that were committed before this day are deleted; null when no file is deleted. */
  keptFrom: string | null
  rows: number
  faults: string[]
  /**
   * Complete lines at the end of a day that are no lines of a manifest. A power cut can leave such
   * lines too, so the owner of the partition continues and removes them.
   */
  additions: string[]
  /** Leftovers of a crash. The next member that takes ownership of the partition removes them. */
  remarks: string[]
}

/** Reads a partition's manifest, and checks that each line follows from the lines before it. */
export async function readChain(dir: string, partition: number): Promise<ManifestChain> {
  const folder = manifestFolder(dir, partition)
  const check = createChainCheck()
  for (const day of await listDays(folder)) {
    const file = dayFilePath(folder, day).slice(join(dir, '/').length)
    const bytes = await readFile(dayFilePath(folder, day))
    const lines = parseLines(bytes)
    for (const [index, { line }] of lines.entries()) {
      check.addLine(line, { day, isFirst: index === 0, place: `${file} line ${index + 1}` })
    }
    if (lines.length === 0) check.chain.faults.push(`${file}: has no line, not even the first one`)
    else nameBytesAfter(bytes.subarray(lines.at(-1)!.end), { ...check, file, number: lines.length })
  }
  return check.chain
}

/** Names the complete lines in the bytes after line `number`, and an incomplete last line. */
function nameBytesAfter(
  bytes: Buffer,
  { chain, file, number }: { chain: ManifestChain; file: string; number: number },
): void {
  const texts = bytes.toString('latin1').split('\n')
  const incomplete = texts.pop()
  for (const index of texts.keys()) {
    const place = `${file} line ${number + index + 1}`
    chain.additions.push(`${place}: added, or damaged by a power cut; ${LEFTOVER_CURE}`)
  }
  if (incomplete) chain.remarks.push(`${file}: the last line is incomplete; ${LEFTOVER_CURE}`)
}

/** The day of a line, whether the line is the first of its day, and the place for messages. */
type LinePlace = { day: string; isFirst: boolean; place: string }

const createEmptyChain = (): ManifestChain => ({
  named: new Map(),
  replaced: new Set(),
  hashes: new Map(),
  last: { number: 0, sha256: NO_PREVIOUS_HASH },
  keptFrom: null,
  rows: 0,
  faults: [],
  additions: [],
  remarks: [],
})

function createChainCheck() {
  const chain = createEmptyChain()
  const total = { files: 0, rows: 0 }
  const events = new EventSet()
  let nextOffsets: NextOffsets = {}
  /** Whether the next seal or deletion can be checked: all lines since the last seal were read. */
  let isKnown = true

  const addCommit = (line: Commit, { day, place }: LinePlace) => {
    const rows = sumOfRows(line.files)
    const eventCount = countEvents(line.came)
    if (rows !== eventCount) {
      chain.faults.push(`${place}: the files have ${rows} events, the intervals ${eventCount}`)
    }
    const [repeated] = line.came.filter(interval => !events.addAll(interval))
    if (repeated) chain.faults.push(`${place}: an earlier line already has ${textOf(repeated)}`)
    for (const file of line.files) chain.named.set(file.name, { ...file, day, line: place })
    nextOffsets = line.next
    total.files += line.files.length
    total.rows += rows
    chain.rows += rows
  }
  const addSeal = (line: Seal, { place }: LinePlace) => {
    const { keptFrom } = chain
    const { files, rows, next } = line
    const summary = { files, rows, next, keptFrom: line.keptFrom }
    const expected = { ...total, next: nextOffsets, keptFrom }
    const isRight =
      isDeepStrictEqual(summary, expected) &&
      isDeepStrictEqual(sorted(line.came), sorted(events.intervals))
    if (isKnown && !isRight) {
      chain.faults.push(`${place}: the seal ${differenceText(line, total)}`)
    }
    for (const interval of line.came) events.addAll(interval)
    nextOffsets = next
    Object.assign(total, { files, rows })
    chain.keptFrom = line.keptFrom
  }
  const addDeletion = ({ keptFrom, files, rows }: Deletion, { place }: LinePlace) => {
    const deleted = [...chain.named.values()].filter(({ day }) => day < keptFrom)
    const deletedRows = sumOfRows(deleted)
    if (isKnown && !(deleted.length === files && deletedRows === rows)) {
      const expected = { files: deleted.length, rows: deletedRows }
      chain.faults.push(`${place}: the deletion ${differenceText({ files, rows }, expected)}`)
    }
    for (const { name } of deleted) chain.named.delete(name)
    chain.keptFrom = keptFrom
    chain.rows -= deletedRows
  }
  return {
    chain,
    addLine(line: HashedLine | null, at: LinePlace): void {
      const { last, faults, hashes } = chain
      if (!line) {
        faults.push(`${at.place}: changed since it was written`)
        chain.last = { number: Number.NaN, sha256: '' }
        isKnown = false
        return
      }
      const follows = line.before === last.sha256 && line.number === last.number + 1
      if (last.sha256 !== '' && !follows) {
        faults.push(`${at.place}: the line before it was removed or replaced`)
        isKnown = false
      }
      if (at.isFirst !== (line.kind === 'seal')) {
        faults.push(`${at.place}: not at the place where it was written`)
      }
      chain.last = { number: line.number, sha256: line.sha256 }
      hashes.set(line.number, line.sha256)
      if (line.kind === 'commit') addCommit(line, at)
      else if (line.kind === 'seal') addSeal(line, at)
      else if (line.kind === 'compact') addCompaction(chain, line, { ...at, isKnown })
      else addDeletion(line, at)
      if (line.kind === 'seal') isKnown = true
    },
  }
}

/** Replaces the files of a compaction; with `isKnown`, checks that they have the same events. */
function addCompaction(
  chain: ManifestChain,
  { files, replaced }: Compaction,
  { place, isKnown }: LinePlace & { isKnown: boolean },
): void {
  const old = replaced.flatMap(name => chain.named.get(name) ?? [])
  const rows = sumOfRows(files)
  if (isKnown && old.length < replaced.length) {
    chain.faults.push(`${place}: replaces files that no earlier line names`)
  } else if (isKnown && sumOfRows(old) !== rows) {
    chain.faults.push(`${place}: ${rows} events replace ${sumOfRows(old)} events`)
  }
  for (const name of replaced) {
    chain.named.delete(name)
    chain.replaced.add(name)
  }
  for (const file of files) chain.named.set(file.name, { ...file, line: place })
  chain.rows += rows - sumOfRows(old)
}

const sumOfRows = (files: readonly FileEntry[]) => files.reduce((sum, { rows }) => sum + rows, 0)

const textOf = ([gateway, epoch, zone, from, to]: EventInterval) =>
  `events of gateway ${gateway}, epoch ${epoch}, zone ${zone}, zone sequences ${from} to ${to}`

type Counts = { files: number; rows: number }

const differenceText = (own: Counts, expected: Counts) => {
  const counts = [own, expected].map(({ files, rows }) => `${files} files and ${rows} events`)
  return `differs from the lines before it: it has ${counts[0]}, expected ${counts[1]}`
}

const sorted = (intervals: readonly unknown[]) =>
  intervals.map(interval => JSON.stringify(interval)).sort()
