import { createHash } from 'node:crypto'

/** What other programs read lies beneath it, and nothing else does. */
const EVENTS = 'events'
/** What Hive, DuckDB and pyarrow take for "no value". */
const NO_DATE = '__HIVE_DEFAULT_PARTITION__'
const DATE_LENGTH = 10
/** Of 255 bytes that a file system gives a name, what a part of it may have. */
const PART_MAX = 150
const KEPT = 100

/** What a file of the archive holds, and by that its name. */
export type FilePathParts = {
  /** Of receivedAt, in UTC. */
  date: string
  zone: string
  topic: string
  partition: number
  first: number
  last: number
}

/** The day of a time in UTC, YYYY-MM-DD; one word for all times outside of the years 0 to 9999. */
export function utcDateOf(ms: number): string {
  const isDate = Math.abs(ms) <= 8.64e15
  const text = isDate ? new Date(ms).toISOString() : ''
  return /^\d{4}-/.test(text) ? text.slice(0, DATE_LENGTH) : NO_DATE
}

/** The path of a file within the archive, as Hive lays them out; `/` between its parts. */
export function filePathOf({ date, zone, topic, partition, first, last }: FilePathParts): string {
  const folder = `${EVENTS}/date=${date}/zone=${escaped(zone)}`
  return `${folder}/${escaped(topic)}-${partition}-${first}-${last}.parquet`
}

/** The day of the events in a file; null when they are of no day that has a name. */
export const dateInPath = (name: string): string | null =>
  name.match(/\/date=(\d{4}-\d\d-\d\d)\//)?.[1] ?? null

/** Of which partition a file is; null when its name is none of the archive's. */
export function partitionInPath(name: string): number | null {
  const found = name.match(/^events\/date=[^/]+\/zone=[^/]*\/[^/]+-(\d+)-\d+-\d+\.parquet$/)
  return found ? Number(found[1]) : null
}

/**
 * A text as a part of a file's name on any file system: what is special in paths, patterns or URLs
 * stands as %XX, which DuckDB and pyarrow read. A long one is cut, and told by its hash.
 */
function escaped(text: string): string {
  const name = encodeURIComponent(text).replace(/[!'()*~]/g, one => `%${hexOf(one)}`)
  if (name.length <= PART_MAX) return name
  return `${name.slice(0, KEPT)}~${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

const hexOf = (one: string) => one.charCodeAt(0).toString(16).toUpperCase()
