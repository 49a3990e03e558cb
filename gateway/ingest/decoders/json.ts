import { isUtf8 } from 'node:buffer'
import type { Measurement } from '../../../config/event/sensor-reading.ts'

export type DecodeLimits = { depthMax: number; measurementsMax: number }
/** Why a payload is not a reading, and where in it the fault lies. */
export type DecodeFault = { reason: string; place: string }

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Names that reach into an object's prototype in careless readers of the event. */
const PROTOTYPE_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * The longest name of a metric, in UTF-16 units. Each one repeats the names that it is nested in,
 * so that without a limit a payload of 128 KB makes an event of 120 MB.
 */
const METRIC_MAX_LENGTH = 512

/**
 * Reads a JSON payload (RFC 8259): an object, whose nested keys are joined with '.' (arrays as
 * `a.0`), or a bare value, whose metric is `value`. Nothing is changed on the way: what JSON allows
 * but a reading cannot carry exactly is unreadable, and an integer that a double cannot hold is
 * kept as text.
 */
export function decodeJson(payload: Buffer, limits: DecodeLimits): Measurement[] | DecodeFault {
  if (payload.length === 0) return { reason: 'the payload is empty', place: '' }
  if (!isUtf8(payload)) return { reason: 'not valid UTF-8', place: '' }
  const text = payload.toString('utf8')
  const seen = scan(text)
  if (seen.depth > limits.depthMax) {
    return { reason: `nested deeper than ${limits.depthMax}`, place: `depth ${seen.depth}` }
  }
  let value: Json
  try {
    value = seen.longNumber ? JSON.parse(text, keepExact) : JSON.parse(text)
  } catch (error) {
    return { reason: `not JSON: ${(error as Error).message}`, place: '' }
  }
  if (Array.isArray(value)) return { reason: 'a list is not a reading', place: '' }
  const flat: Flat = { measurements: [], keys: 0, nameChars: 0, ...limits }
  const fault = flatten(value, '', flat)
  if (fault) return fault
  if (flat.keys !== seen.colons) return { reason: 'a key stands twice', place: twice(text) }
  if (seen.dottedString || text.includes('\\u002')) {
    const names = new Set<string>()
    const again = flat.measurements.find(({ metric }) => names.size === names.add(metric).size)
    if (again) return { reason: 'a key stands twice', place: again.metric }
  }
  return flat.measurements
}

/** A long key stands before each value inside it: without a bound a small payload grows large. */
const NAMES_MAX_CHARS = 64 * 1024

type Flat = { measurements: Measurement[]; keys: number; nameChars: number } & DecodeLimits

function flatten(value: Json, metric: string, flat: Flat): DecodeFault | null {
  if (flat.measurements.length >= flat.measurementsMax) {
    return { reason: `more than ${flat.measurementsMax} measurements`, place: metric }
  }
  flat.nameChars += metric.length
  if (flat.nameChars > NAMES_MAX_CHARS) {
    return { reason: `flattened names of more than ${NAMES_MAX_CHARS} characters`, place: '' }
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return { reason: 'a number is out of range', place: metric }
    flat.measurements.push({
      metric: metric || 'value',
      number: value,
      flag: null,
      text: null,
      unit: null,
    })
  } else if (typeof value === 'string') {
    if (!value.isWellFormed()) return { reason: 'a text is not valid Unicode', place: metric }
    flat.measurements.push({
      metric: metric || 'value',
      number: null,
      flag: null,
      text: value,
      unit: null,
    })
  } else if (typeof value === 'boolean') {
    flat.measurements.push({
      metric: metric || 'value',
      number: null,
      flag: value,
      text: null,
      unit: null,
    })
  } else if (value !== null) {
    return flattenKeys(value, metric, flat)
  } else {
    flat.measurements.push({
      metric: metric || 'value',
      number: null,
      flag: null,
      text: null,
      unit: null,
    })
  }
  return null
}

function flattenKeys(value: Json[] | { [key: string]: Json }, metric: string, flat: Flat) {
  const list = Array.isArray(value)
  const keys = Object.keys(value)
  if (keys.length === 0 && metric !== '') return flatten(null, metric, flat)
  if (!list) flat.keys += keys.length
  for (const key of keys) {
    if (key === '') return { reason: 'a key is empty', place: metric }
    if (PROTOTYPE_KEYS.has(key)) return { reason: `the key ${key} is not allowed`, place: metric }
    if (!key.isWellFormed()) return { reason: 'a key is not valid Unicode', place: metric }
    const inner = metric === '' ? key : `${metric}.${key}`
    if (inner.length > METRIC_MAX_LENGTH) {
      const place = inner.slice(0, 64).toWellFormed()
      return { reason: `a name is longer than ${METRIC_MAX_LENGTH} characters`, place }
    }
    const fault = flatten((value as { [key: string]: Json })[key]!, inner, flat)
    if (fault) return fault
  }
  return null
}

/** Digits behind the point do not count towards a long number. */
const FRACTION = Number.NEGATIVE_INFINITY

/** What JSON.parse does not tell: how many keys stand there, how deep, and how long the numbers. */
function scan(text: string) {
  let [colons, depth, deepest, digits] = [0, 0, 0, 0]
  let longNumber = false
  let dottedString = false
  let dot = text.indexOf('.')
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 34) {
      const end = endOfString(text, at)
      if (dot >= 0 && dot < at) dot = text.indexOf('.', at)
      if (dot > at && dot < end) dottedString = true
      at = end
    } else if (code >= 48 && code <= 57) {
      // 2^53 has 16 digits and begins with 9: what is shorter or smaller is held exactly.
      if (++digits > 16 || (digits === 16 && text.charCodeAt(at - 15) === 57)) longNumber = true
      continue
    } else if (code === 46) {
      digits = FRACTION
      continue
    } else if (code === 101 || code === 69) longNumber ||= isDigit(text.charCodeAt(at - 1))
    else if (code === 58) colons++
    else if (code === 123 || code === 91) deepest = Math.max(deepest, ++depth)
    else if (code === 125 || code === 93) depth--
    digits = 0
  }
  return { colons, depth: deepest, longNumber, dottedString }
}

function endOfString(text: string, quote: number): number {
  let end = quote
  do {
    end = text.indexOf('"', end + 1)
    if (end < 0) return text.length
  } while (isEscaped(text, end))
  return end
}

function isEscaped(text: string, at: number): boolean {
  let before = at
  while (text.charCodeAt(before - 1) === 92) before--
  return (at - before) % 2 === 1
}

/**
 * Keeps the text of a number that a double would change: an integer it cannot hold, one written
 * with point or exponent that does not print back as the same, or one that becomes 0.
 */
function keepExact(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined) return value
  if (/^-?\d+$/.test(source)) {
    return Number.isFinite(value) && BigInt(source) === BigInt(value) ? value : source
  }
  if (!Number.isFinite(value)) return value
  const written = decimalOf(source)
  if (value === 0) return written.digits === '' ? value : source
  const held = decimalOf(String(value))
  const isSame = written.digits === held.digits && written.zeros === held.zeros
  return written.zeros < 0 || isSame ? value : source
}

/** A decimal number as its significant digits and the zeros behind them (below 0: a fraction). */
function decimalOf(text: string): { digits: string; zeros: number } {
  const [, whole = '', fraction = '', exponent = '0'] =
    /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const all = `${whole}${fraction}`.replace(/^0+/, '')
  const digits = all.replace(/0+$/, '')
  return { digits, zeros: Number(exponent) - fraction.length + all.length - digits.length }
}

const isDigit = (code: number) => code >= 48 && code <= 57

/** The first key that stands twice in one object, for the place of a dead letter. */
function twice(text: string): string {
  const open: Set<string>[] = []
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '{') open.push(new Set())
    else if (text[at] === '}') open.pop()
    else if (text[at] === '"') {
      const end = endOfString(text, at)
      const isKey = /^\s*:/.test(text.slice(end + 1))
      const key = text.slice(at + 1, end)
      if (isKey && open.at(-1)?.has(key)) return key
      if (isKey) open.at(-1)?.add(key)
      at = end
    }
  }
  return ''
}
