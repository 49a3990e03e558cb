import { nearestNames } from '../../../../config/loading/suggestion.ts'
import { parseMoment } from '../../../../config/process/time-argument.ts'
import { windowSizesMs } from '../model/series.ts'
import type { PageCursor, SeriesFilter } from './series-list.ts'

/** What was asked cannot be answered: the message names value, place and cure in one line. */
export class BadRequest extends Error {}

/** What stands behind the question mark of an address, by name. */
export type QueryParameters = Readonly<Record<string, string | readonly string[]>>
export type ApiWindowSize = '1m' | keyof typeof windowSizesMs
export const apiWindowSizes: readonly ApiWindowSize[] = [
  '1m',
  ...(Object.keys(windowSizesMs) as ApiWindowSize[]),
]

export const LIMIT_MAX = 10_000
const LIMIT = 1000
const DAY_MS = 86_400_000
/** The end of what a calendar knows. */
const TIME_MAX_MS = 8.64e15

/** Refuses what a question cannot have, each name once. */
export function refuseUnknownParameters(asked: QueryParameters, known: readonly string[]): void {
  for (const [name, value] of Object.entries(asked)) {
    if (!known.includes(name)) {
      const [meant] = nearestNames(name, known)
      const hint = meant ? `. Did you mean ${meant}?` : ''
      throw new BadRequest(`${name} is nothing to ask for here: there are ${known}${hint}`)
    }
    if (typeof value !== 'string') throw new BadRequest(`${name} stands there twice. Write it once`)
  }
}

export function parseFilter(asked: QueryParameters): SeriesFilter {
  const names = ['site', 'zone', 'device', 'metric'] as const
  const given = names.filter(name => asked[name] !== undefined)
  return Object.fromEntries(given.map(name => [name, textOf(asked, name)]))
}

/** The windows that a question is about: of the last day, and of 15 minutes, unless it says. */
export function parseWindowRange(asked: QueryParameters, nowMs: number) {
  const to = asked.to === undefined ? nowMs : momentIn(asked, 'to', nowMs)
  const from = asked.from === undefined ? to - DAY_MS : momentIn(asked, 'from', nowMs)
  if (from >= to) {
    const [since, until] = [from, to].map(ms => new Date(ms).toISOString())
    throw new BadRequest(`from is ${since}, not before to, ${until}. Write an earlier from`)
  }
  return { from: Math.max(0, from), to, size: sizeIn(asked) }
}

function momentIn(asked: QueryParameters, name: string, nowMs: number): number {
  const text = textOf(asked, name)
  const moment = /^\d{1,16}$/.test(text) ? Number(text) : parseMoment(text, nowMs)
  if (typeof moment !== 'number') throw new BadRequest(`${name}: ${moment.reason}`)
  if (Math.abs(moment) <= TIME_MAX_MS) return moment
  throw new BadRequest(`${name}: ${text} is beyond any calendar. Write ms since 1970, or ISO 8601`)
}

function sizeIn(asked: QueryParameters): ApiWindowSize {
  const text = asked.size === undefined ? '15m' : textOf(asked, 'size')
  const size = apiWindowSizes.find(one => one === text)
  if (size) return size
  throw new BadRequest(
    `size: ${quoted(text)} is no window. Write one of ${apiWindowSizes.join(', ')}`,
  )
}

export function parseLimit(asked: QueryParameters): number {
  if (asked.limit === undefined) return LIMIT
  const text = textOf(asked, 'limit')
  const limit = Number(text)
  if (/^\d{1,9}$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit
  const cure = `Write a whole number from 1 to ${LIMIT_MAX}`
  throw new BadRequest(`limit: ${quoted(text)} is not how many can be given. ${cure}`)
}

/** Where the page before ended; null: from the beginning. */
export function parseCursor(asked: QueryParameters): PageCursor | null {
  if (asked.cursor === undefined) return null
  const text = textOf(asked, 'cursor')
  try {
    const [partition, key, start] = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (isWhole(partition) && typeof key === 'string' && isWhole(start)) {
      return { partition, key, start }
    }
  } catch {}
  const cure = 'Write what an answer gave as next, or leave it out to begin'
  throw new BadRequest(`cursor: ${quoted(text)} is none of ours. ${cure}`)
}

/** A place as a text for addresses, which `cursorIn` takes back. */
export function encodeCursor({ partition, key, start }: PageCursor): string {
  return Buffer.from(JSON.stringify([partition, key, start])).toString('base64url')
}

const textOf = (asked: QueryParameters, name: string) => asked[name] as string
const quoted = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
const isWhole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
