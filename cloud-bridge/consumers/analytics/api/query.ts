import { nearest } from '../../../../config/loading/suggestion.ts'
import { parseMoment } from '../../../../config/process/time-argument.ts'
import { sizes } from '../model/series.ts'
import type { Filter, Place } from './series-list.ts'

/** What was asked cannot be answered: the message names value, place and cure in one line. */
export class BadQuestion extends Error {}

/** What stands behind the question mark of an address, by name. */
export type Asked = Readonly<Record<string, string | readonly string[]>>
export type AskedSize = '1m' | keyof typeof sizes
export const askedSizes: readonly AskedSize[] = ['1m', ...(Object.keys(sizes) as AskedSize[])]

export const LIMIT_MAX = 10_000
const LIMIT = 1000
const DAY_MS = 86_400_000
/** The end of what a calendar knows. */
const TIME_MAX_MS = 8.64e15

/** Refuses what a question cannot have, each name once. */
export function onlyWith(asked: Asked, known: readonly string[]): void {
  for (const [name, value] of Object.entries(asked)) {
    if (!known.includes(name)) {
      const [meant] = nearest(name, known)
      const hint = meant ? `. Did you mean ${meant}?` : ''
      throw new BadQuestion(`${name} is nothing to ask for here: there are ${known}${hint}`)
    }
    if (typeof value !== 'string')
      throw new BadQuestion(`${name} stands there twice. Write it once`)
  }
}

export function filterIn(asked: Asked): Filter {
  const names = ['site', 'zone', 'device', 'metric'] as const
  const given = names.filter(name => asked[name] !== undefined)
  return Object.fromEntries(given.map(name => [name, textOf(asked, name)]))
}

/** The windows that a question is about: of the last day, and of 15 minutes, unless it says. */
export function windowsIn(asked: Asked, nowMs: number) {
  const to = asked.to === undefined ? nowMs : momentIn(asked, 'to', nowMs)
  const from = asked.from === undefined ? to - DAY_MS : momentIn(asked, 'from', nowMs)
  if (from >= to) {
    const [since, until] = [from, to].map(ms => new Date(ms).toISOString())
    throw new BadQuestion(`from is ${since}, not before to, ${until}. Write an earlier from`)
  }
  return { from: Math.max(0, from), to, size: sizeIn(asked) }
}

function momentIn(asked: Asked, name: string, nowMs: number): number {
  const text = textOf(asked, name)
  const moment = /^\d{1,16}$/.test(text) ? Number(text) : parseMoment(text, nowMs)
  if (typeof moment !== 'number') throw new BadQuestion(`${name}: ${moment.reason}`)
  if (Math.abs(moment) <= TIME_MAX_MS) return moment
  throw new BadQuestion(`${name}: ${text} is beyond any calendar. Write ms since 1970, or ISO 8601`)
}

function sizeIn(asked: Asked): AskedSize {
  const text = asked.size === undefined ? '15m' : textOf(asked, 'size')
  const size = askedSizes.find(one => one === text)
  if (size) return size
  throw new BadQuestion(`size: ${quoted(text)} is no window. Write one of ${askedSizes.join(', ')}`)
}

export function limitIn(asked: Asked): number {
  if (asked.limit === undefined) return LIMIT
  const text = textOf(asked, 'limit')
  const limit = Number(text)
  if (/^\d{1,9}$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit
  const cure = `Write a whole number from 1 to ${LIMIT_MAX}`
  throw new BadQuestion(`limit: ${quoted(text)} is not how many can be given. ${cure}`)
}

/** Where the page before ended; null: from the beginning. */
export function cursorIn(asked: Asked): Place | null {
  if (asked.cursor === undefined) return null
  const text = textOf(asked, 'cursor')
  try {
    const [partition, key, start] = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (isWhole(partition) && typeof key === 'string' && isWhole(start)) {
      return { partition, key, start }
    }
  } catch {}
  const cure = 'Write what an answer gave as next, or leave it out to begin'
  throw new BadQuestion(`cursor: ${quoted(text)} is none of ours. ${cure}`)
}

/** A place as a text for addresses, which `cursorIn` takes back. */
export function cursorOf({ partition, key, start }: Place): string {
  return Buffer.from(JSON.stringify([partition, key, start])).toString('base64url')
}

const textOf = (asked: Asked, name: string) => asked[name] as string
const quoted = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
const isWhole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
