import { createHash } from 'node:crypto'
import type { EventInterval } from './event-set.ts'

/** A file that belongs to the archive, as its commit wrote it. */
export type FileEntry = {
  /** Its path within the archive. */
  name: string
  rows: number
  /** The offsets of its first and last event. */
  first: number
  last: number
  bytes: number
  sha256: string
}

/** The next offset of each topic. */
export type NextOffsets = Record<string, number>

type Base = {
  /** One more than that of the line before. */
  number: number
  /** When it was written, ISO 8601. */
  at: string
  /** The hash of the line before, which may be the last one of an older file; zeros for none. */
  before: string
}
/** One step of work: its files, which events they hold, and where to go on behind them. */
export type Commit = Base & {
  kind: 'commit'
  files: FileEntry[]
  came: EventInterval[]
  next: NextOffsets
}
/** The first line of each day: all that is known up to here. */
export type Seal = Base & {
  kind: 'seal'
  partition: number
  /** All files and events that were committed since the beginning. */
  files: number
  rows: number
  /** What was committed on the days before this one was let go; null: nothing was. */
  keptFrom: string | null
  came: EventInterval[]
  next: NextOffsets
}
/** Files and events that were committed on the days before `keptFrom` were let go. */
export type Deletion = Base & { kind: 'let go'; keptFrom: string; files: number; rows: number }

export type ManifestLine = Commit | Seal | Deletion
/** What a line says, without its place in the chain. */
export type ManifestEntry =
  | Omit<Commit, keyof Base>
  | Omit<Seal, keyof Base>
  | Omit<Deletion, keyof Base>
export type HashedLine = ManifestLine & { sha256: string }

export const NO_PREVIOUS_HASH = '0'.repeat(64)

const HASH_LENGTH = 64
const END = /,"sha256":"([0-9a-f]{64})"\}$/
const END_LENGTH = ',"sha256":"'.length + HASH_LENGTH + '"}'.length

export const sha256 = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex')

/** A line as it stands in a manifest, its own hash last and without the end of line. */
export function lineText(line: ManifestLine): { text: string; sha256: string } {
  const body = JSON.stringify(line).slice(0, -1)
  const hash = sha256(body)
  return { text: `${body},"sha256":"${hash}"}`, sha256: hash }
}

/** The line of a text, or null when it was changed since it was written. */
export function parseLine(text: string): HashedLine | null {
  const hash = text.match(END)?.[1]
  if (hash === undefined || sha256(text.slice(0, -END_LENGTH)) !== hash) return null
  return JSON.parse(text)
}
