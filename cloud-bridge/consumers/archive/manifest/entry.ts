import { createHash } from 'node:crypto'
import type { EventInterval } from './event-set.ts'

// The lines of a manifest are JSON on disk, so the names of their fields must not change.

/** A committed file of the archive. */
export type FileEntry = {
  /** The path within the archive. */
  name: string
  rows: number
  /** The offsets of the first and the last event. */
  first: number
  last: number
  bytes: number
  sha256: string
}

/** The next offset to read of each topic. */
export type NextOffsets = Record<string, number>

type ChainFields = {
  /** One more than the number of the previous line. */
  number: number
  /** When the line was written, ISO 8601. */
  at: string
  /** The hash of the previous line, which may be in an older file; zeros for the first line. */
  before: string
}
/** A commit: its files, the events in them, and the offsets after them. */
export type Commit = ChainFields & {
  kind: 'commit'
  files: FileEntry[]
  /** The events in the files. */
  came: EventInterval[]
  next: NextOffsets
}
/** The first line of each day: a summary of all lines before. */
export type Seal = ChainFields & {
  kind: 'seal'
  partition: number
  /** The number of all files and events that were ever committed. */
  files: number
  rows: number
  /** Files that were committed before this day are deleted; null when no file is deleted. */
  keptFrom: string | null
  /** All events that were ever committed. */
  came: EventInterval[]
  next: NextOffsets
}
/** The deletion of the files that were committed before the day `keptFrom`. */
export type Deletion = ChainFields & {
  kind: 'let go'
  keptFrom: string
  files: number
  rows: number
}

/** A file of a compaction, with the day of the newest commit of the files that it replaces. */
export type CompactedFile = FileEntry & { day: string }
/** The replacement of files by fewer files with the same events. */
export type Compaction = ChainFields & {
  kind: 'compact'
  files: CompactedFile[]
  /** The paths of the replaced files, which are removed after this line. */
  replaced: string[]
}

export type ManifestLine = Commit | Seal | Deletion | Compaction
/** The content of a line, without its place in the chain. */
export type ManifestEntry =
  | Omit<Commit, keyof ChainFields>
  | Omit<Seal, keyof ChainFields>
  | Omit<Deletion, keyof ChainFields>
  | Omit<Compaction, keyof ChainFields>
export type HashedLine = ManifestLine & { sha256: string }

export const NO_PREVIOUS_HASH = '0'.repeat(64)

const HASH_LENGTH = 64
const END = /,"sha256":"([0-9a-f]{64})"\}$/
const END_LENGTH = ',"sha256":"'.length + HASH_LENGTH + '"}'.length

export const sha256 = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex')

/**
 * The text of a line in a manifest, without the line feed. The hash of the line is its last field.
 */
export function lineText(line: ManifestLine): { text: string; sha256: string } {
  const body = JSON.stringify(line).slice(0, -1)
  const hash = sha256(body)
  return { text: `${body},"sha256":"${hash}"}`, sha256: hash }
}

/** Parses a line; null when the line was changed since it was written. */
export function parseLine(text: string): HashedLine | null {
  const hash = text.match(END)?.[1]
  if (hash === undefined || sha256(text.slice(0, -END_LENGTH)) !== hash) return null
  return JSON.parse(text)
}
