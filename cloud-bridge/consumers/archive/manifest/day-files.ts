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

/**
 * The lines of a day, in order. Bytes after the last line feed are an incomplete line, which is
 * left out.
 */
export async function readLines(folder: string, day: string): Promise<ParsedLine[]> {
  return parseLines(await readFile(dayFilePath(folder, day)))
}

/** The lines in the bytes of a day file. */
export function parseLines(bytes: Buffer): ParsedLine[] {
  const lines: ParsedLine[] = []
  for (let start = 0; ; ) {
    const lineFeed = bytes.indexOf('\n', start)
    if (lineFeed < 0) return lines
    lines.push({ end: lineFeed + 1, line: parseLine(bytes.toString('utf8', start, lineFeed)) })
    start = lineFeed + 1
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
