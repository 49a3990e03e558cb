import { nearestNames } from '../../../../config/loading/suggestion.ts'
import { parseMoment } from '../../../../config/process/time-argument.ts'
import { timeZoneFault } from '../../../../config/syntax/time-zones.ts'
import { MINUTE_MS } from '../model/aggregate.ts'
import { type Calendar, createCalendar } from '../model/calendar.ts'
import { BASE_SIZE, type WindowSize, windowLengthMs, windowSizes } from '../model/window-sizes.ts'
import type { PageCursor, SeriesFilter } from './series-list.ts'

/**
 * The request is not valid. The message names the parameter, its value and the cure in one line.
 */
export class BadRequest extends Error {}

/** The query parameters of a request, by name. */
export type QueryParameters = Readonly<Record<string, string | readonly string[]>>
/**
 * The sizes of the windows that the API returns: all stored sizes, and the minute, which the API
 * computes from points.
 */
export type ApiWindowSize = '1m' | WindowSize
export const apiWindowSizes: readonly ApiWindowSize[] = ['1m', ...windowSizes]
export const apiWindowLengthMs = (size: ApiWindowSize): number =>
  size === '1m' ? MINUTE_MS : windowLengthMs(size)

export const LIMIT_MAX = 10_000
const DEFAULT_LIMIT = 1000
const DAY_MS = 86_400_000
/** The last time that a Date can represent, in ms since 1970. */
const TIME_MAX_MS = 8.64e15

/** Throws BadRequest when a parameter is unknown or given more than once. */
export function refuseUnknownParameters(query: QueryParameters, known: readonly string[]): void {
  for (const [name, value] of Object.entries(query)) {
    if (!known.includes(name)) {
      const [suggestion] = nearestNames(name, known)
      const hint = suggestion ? `. Did you mean ${suggestion}?` : ''
      throw new BadRequest(`${name} is no parameter here. Parameters are ${known}${hint}`)
    }
    if (typeof value !== 'string') {
      throw new BadRequest(`${name} is given more than once. Write it once`)
    }
  }
}

export function parseFilter(query: QueryParameters): SeriesFilter {
  const names = ['site', 'zone', 'device', 'metric'] as const
  const given = names.filter(name => query[name] !== undefined)
  return Object.fromEntries(given.map(name => [name, textOf(query, name)]))
}

/**
 * The requested window size, and the times (ms since 1970) between which windows are requested. By
 * default windows of 15 minutes over the last day. Throws BadRequest when a parameter is not valid.
 */
export function parseWindowRange(query: QueryParameters, nowMs: number) {
  const to = query.to === undefined ? nowMs : parseTime(query, 'to', nowMs)
  const from = query.from === undefined ? to - DAY_MS : parseTime(query, 'from', nowMs)
  if (from >= to) {
    const [fromText, toText] = [from, to].map(ms => new Date(ms).toISOString())
    throw new BadRequest(`from is ${fromText}, not before to, ${toText}. Write an earlier from`)
  }
  return { from: Math.max(0, from), to, size: parseSize(query), calendar: parseTimeZone(query) }
}

/** The calendar of the requested time zone; null: windows in the time zone of each site. */
function parseTimeZone(query: QueryParameters): Calendar | null {
  if (query.timezone === undefined) return null
  const text = textOf(query, 'timezone')
  const fault = timeZoneFault(text)
  if (fault === null) return createCalendar(text)
  throw new BadRequest(`timezone: ${quoted(text)} ${fault}. Write a name such as Europe/Berlin`)
}

function parseTime(query: QueryParameters, name: string, nowMs: number): number {
  const text = textOf(query, name)
  const moment = /^\d{1,16}$/.test(text) ? Number(text) : parseMoment(text, nowMs)
  if (typeof moment !== 'number') throw new BadRequest(`${name}: ${moment.reason}`)
  if (Math.abs(moment) <= TIME_MAX_MS) return moment
  throw new BadRequest(`${name}: ${text} is beyond any calendar. Write ms since 1970, or ISO 8601`)
}

function parseSize(query: QueryParameters): ApiWindowSize {
  const text = query.size === undefined ? BASE_SIZE : textOf(query, 'size')
  const size = apiWindowSizes.find(name => name === text)
  if (size) return size
  const sizes = apiWindowSizes.join(', ')
  throw new BadRequest(`size: ${quoted(text)} is no window size. Write one of ${sizes}`)
}

export function parseLimit(query: QueryParameters): number {
  if (query.limit === undefined) return DEFAULT_LIMIT
  const text = textOf(query, 'limit')
  const limit = Number(text)
  if (/^\d{1,9}$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit
  const cure = `Write a whole number from 1 to ${LIMIT_MAX}`
  throw new BadRequest(`limit: ${quoted(text)} is no page size. ${cure}`)
}

/**
 * The place where the page starts, as `next` of the previous page gave it; null for the first page.
 * Throws BadRequest for any other text.
 */
export function parseCursor(query: QueryParameters): PageCursor | null {
  if (query.cursor === undefined) return null
  const text = textOf(query, 'cursor')
  try {
    const [partition, key, start] = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (isCount(partition) && typeof key === 'string' && isCount(start)) {
      return { partition, key, start }
    }
  } catch {}
  const cure = 'Write the value of next in the previous response, or omit it for the first page'
  throw new BadRequest(`cursor: ${quoted(text)} is not a cursor of this API. ${cure}`)
}

/** Encodes a cursor as a text that `parseCursor` reads. */
export function encodeCursor({ partition, key, start }: PageCursor): string {
  return Buffer.from(JSON.stringify([partition, key, start])).toString('base64url')
}

const textOf = (query: QueryParameters, name: string) => query[name] as string
const quoted = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
