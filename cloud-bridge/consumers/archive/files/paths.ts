import { createHash } from 'node:crypto'

/** The folder that other programs read; it contains nothing but event files. */
const EVENTS = 'events'
/** The name that stands for a missing date; Hive, DuckDB and pyarrow read it as "no value". */
export const NO_DATE = '__HIVE_DEFAULT_PARTITION__'
const DATE_LENGTH = 10
export const DAY_MS = 86_400_000
/**
 * The longest part of a file name, in characters. A file system allows 255 bytes for the file name.
 */
const PART_MAX_LENGTH = 150
/**
 * How many characters of a longer part stay readable. A hash of the part follows these characters.
 */
const SHORTENED_LENGTH = 100

/** Stands for an empty text; the tilde of another text is escaped. */
const EMPTY = '~empty'

/** The properties of an archive file that determine its path. */
export type FilePathParts = {
  /** The day of `receivedAt`, in UTC. */
  date: string
  zone: string
  topic: string
  partition: number
  /** The offsets of the first and the last event. */
  first: number
  last: number
}

/** The UTC day of a time, YYYY-MM-DD; `NO_DATE` for all times outside the years 0 to 9999. */
export function utcDateOf(ms: number): string {
  const isDate = Math.abs(ms) <= 8.64e15
  const text = isDate ? new Date(ms).toISOString() : ''
  return /^\d{4}-/.test(text) ? text.slice(0, DATE_LENGTH) : NO_DATE
}

/** The UTC day of the present time, some days ago. */
export const utcDateDaysAgo = (days: number): string => utcDateOf(Date.now() - days * DAY_MS)

/**
 * The path of a file within the archive; parts are separated by `/`. The folder of a date is in
 * Hive's form `date=D`, which readers turn into a column. The folder of a zone is not, because the
 * files have the column `zone` already, and readers refuse a column that a folder repeats.
 */
export function filePathOf({ date, zone, topic, partition, first, last }: FilePathParts): string {
  const folder = `${EVENTS}/date=${date}/${escaped(zone)}`
  return `${folder}/${escaped(topic)}-${partition}-${first}-${last}.parquet`
}

/**
 * The day of the events in a file, as its path says; null for events outside the years 0 to 9999.
 */
export const dateInPath = (path: string): string | null =>
  path.match(/\/date=(\d{4}-\d\d-\d\d)\//)?.[1] ?? null

const PATH = /^events\/date=([^/]+)\/([^/]+)\/([^/]+)-(\d+)-\d+-\d+\.parquet$/

/** The parts of a file's path that the path says; zone and topic are escaped. */
export type ParsedPath = {
  date: string
  zone: string
  topic: string
  partition: number
  /** Whether the folder of the zone is in the form `zone=Z` of earlier versions. */
  isOldForm: boolean
}

/** Parses the path of a file; null when the path is not that of an archive file. */
export function parsePath(path: string): ParsedPath | null {
  const [, date, folder, topic, partition] = path.match(PATH) ?? []
  if (date === undefined) return null
  const isOldForm = folder!.startsWith('zone=')
  const zone = isOldForm ? folder!.slice('zone='.length) : folder!
  return { date, zone, topic: topic!, partition: Number(partition), isOldForm }
}

/** The partition of a file, as its path says; null when the path is not that of an archive file. */
export const partitionInPath = (path: string): number | null => parsePath(path)?.partition ?? null

/**
 * A text as a part of a file name for any file system. Characters that are special in paths,
 * patterns or URLs become %XX. So does an underscore or a point at the beginning, because readers
 * ignore such files and folders. A long text is shortened and gets its hash.
 */
function escaped(text: string): string {
  if (text === '') return EMPTY
  const name = encodeURIComponent(text).replace(
    /^[_.]|[!'()*~]/g,
    character => `%${hexCodeOf(character)}`,
  )
  if (name.length <= PART_MAX_LENGTH) return name
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 32)
  return `${name.slice(0, SHORTENED_LENGTH)}~${hash}`
}

const hexCodeOf = (character: string) => character.charCodeAt(0).toString(16).toUpperCase()
