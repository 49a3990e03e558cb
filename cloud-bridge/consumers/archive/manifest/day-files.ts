import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type HashedLine, parseLine } from './entry.ts'

const FOLDER = /^partition=(\d+)$/
const DAY_FILE = /^(\d{4}-\d\d-\d\d)\.jsonl$/

/** The folder of a partition's manifest; it has a file for each day with a commit. */
export const manifestFolder = (dir: string, partition: number): string =>
  join(dir, 'manifest', `partition=${partition}`)

export const dayFilePath = (folder: string, day: string): string => join(folder, `${day}.jsonl`)

/** The partitions with a manifest in an archive, in order; empty when there is no archive. */
export async function listPartitions(dir: string): Promise<number[]> {
  const names = await namesIn(join(dir, 'manifest'))
  const numbers = names.flatMap(name => name.match(FOLDER)?.[1] ?? []).map(Number)
  return numbers.sort((a, b) => a - b)
}

/** The days of a manifest as YYYY-MM-DD, in order. */
export async function listDays(folder: string): Promise<string[]> {
  const names = await namesIn(folder)
  return names.flatMap(name => name.match(DAY_FILE)?.[1] ?? []).sort()
}

/**
 * A line of a day file. `line` is null when the line was changed since it was written. `end` is the
 * offset of the byte after the line and its line feed.
 */
export type ParsedLine = { end: number; line: HashedLine | null }

/** The lines of a day, in order, without what an interrupted append left at the end. */
export async function readLines(folder: string, day: string): Promise<ParsedLine[]> {
  return parseLines(await readFile(dayFilePath(folder, day)))
}

/**
 * The lines in the bytes of a day file. A power cut during an append can leave a line without its
 * end, or a line with its end in which sectors are zeros or garbage. So bytes after the last line
 * that is JSON are left out. A line that somebody changed is still JSON and is not left out.
 */
export function parseLines(bytes: Buffer): ParsedLine[] {
  const lines: ParsedLine[] = []
  let completeLines = 0
  for (let start = 0; ; ) {
    const lineFeed = bytes.indexOf('\n', start)
    if (lineFeed < 0) return lines.slice(0, completeLines)
    const text = bytes.toString('utf8', start, lineFeed)
    const line = parseLine(text)
    lines.push({ end: lineFeed + 1, line })
    if (line || isJson(text)) completeLines = lines.length
    start = lineFeed + 1
  }
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw error
  }
}
