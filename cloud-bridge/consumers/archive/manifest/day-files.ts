import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type HashedLine, parseLine } from './entry.ts'

const FOLDER = /^partition=(\d+)$/
const DAY_FILE = /^(\d{4}-\d\d-\d\d)\.jsonl$/

/**
 * Where an archive keeps the manifest of a partition: a file for each day on which it committed.
 */
export const manifestFolder = (dir: string, partition: number): string =>
  join(dir, 'manifest', `partition=${partition}`)

export const dayFilePath = (folder: string, day: string): string => join(folder, `${day}.jsonl`)

/** The partitions that an archive has a manifest of; none when there is no archive. */
export async function listPartitions(dir: string): Promise<number[]> {
  const names = await namesIn(join(dir, 'manifest'))
  const numbers = names.flatMap(name => name.match(FOLDER)?.[1] ?? []).map(Number)
  return numbers.sort((one, other) => one - other)
}

/** The days of a manifest, in order. */
export async function listDays(folder: string): Promise<string[]> {
  const names = await namesIn(folder)
  return names.flatMap(name => name.match(DAY_FILE)?.[1] ?? []).sort()
}

/** A line that was read: the bytes it ends behind, and what it says, null when it was changed. */
export type ParsedLine = { end: number; line: HashedLine | null }

/** The lines of a day in order; what stands behind the last end of line is no line. */
export async function readLines(folder: string, day: string): Promise<ParsedLine[]> {
  return parseLines(await readFile(dayFilePath(folder, day)))
}

/** The lines in the bytes of a day's file. */
export function parseLines(bytes: Buffer): ParsedLine[] {
  const lines: ParsedLine[] = []
  for (let from = 0; ; ) {
    const at = bytes.indexOf('\n', from)
    if (at < 0) return lines
    lines.push({ end: at + 1, line: parseLine(bytes.toString('utf8', from, at)) })
    from = at + 1
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
