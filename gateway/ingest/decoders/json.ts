import { isUtf8 } from 'node:buffer'
import type { Measurement } from '../../../config/event/sensor-reading.ts'

export type DecodeLimits = { depthMax: number; measurementsMax: number }
/** Why a payload is not a reading, and the place of the fault in the payload. */
export type DecodeFault = { reason: string; place: string }

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Names with which a careless reader of the event would change an object's prototype. */
const PROTOTYPE_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * The longest name of a metric, in UTF-16 units. Each name repeats the keys around it: without a
 * limit a payload of 128 KB becomes an event of 120 MB.
 */
const METRIC_MAX_LENGTH = 512

/**
 * Decodes a JSON payload (RFC 8259): an object, whose nested keys are joined with '.' (arrays as
 * `a.0`), or a bare value, whose metric is `value`. Decoding never changes a value: a value that
 * JSON allows and a reading cannot carry exactly is a fault, and a number that a double cannot hold
 * is kept as text.
 */
export function decodeJson(payload: Buffer, limits: DecodeLimits): Measurement[] | DecodeFault {
  if (payload.length === 0) return { reason: 'the payload is empty', place: '' }
  if (!isUtf8(payload)) return { reason: 'not valid UTF-8', place: '' }
  const text = payload.toString('utf8')
  const scanned = scan(text)
  if (scanned.depth > limits.depthMax) {
    return { reason: `nested deeper than ${limits.depthMax}`, place: `depth ${scanned.depth}` }
  }
  let value: Json
  try {
    value = scanned.longNumber ? JSON.parse(text, exactNumber) : JSON.parse(text)
  } catch (error) {
    return { reason: `not JSON: ${(error as Error).message}`, place: '' }
  }
  if (Array.isArray(value)) return { reason: 'a list is not a reading', place: '' }
  const flat: Flat = { measurements: [], keys: 0, nameChars: 0, ...limits }
  const fault = flatten(value, '', flat)
  if (fault) return fault
  if (flat.keys !== scanned.colons)
    return { reason: 'a key occurs twice', place: findDuplicateKey(text) }
  if (scanned.dottedString || text.includes('\\u002')) {
    const names = new Set<string>()
    const duplicate = flat.measurements.find(({ metric }) => names.size === names.add(metric).size)
    if (duplicate) return { reason: 'a key occurs twice', place: duplicate.metric }
  }
  return flat.measurements
}

/** Each value repeats the keys around it: without a bound a small payload grows large. */
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
  const isList = Array.isArray(value)
  const keys = Object.keys(value)
  if (keys.length === 0 && metric !== '') return flatten(null, metric, flat)
  if (!isList) flat.keys += keys.length
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

/** The digit count after a decimal point: digits of a fraction do not make a number long. */
const FRACTION = Number.NEGATIVE_INFINITY

/** Finds what JSON.parse does not report: the number of keys, the depth, and long numbers. */
function scan(text: string) {
  let [colons, depth, deepest, digits] = [0, 0, 0, 0]
  let longNumber = false
  let dottedString = false
  let dot = text.indexOf('.')
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 34) {
      const end = endOfString(text, index)
      if (dot >= 0 && dot < index) dot = text.indexOf('.', index)
      if (dot > index && dot < end) dottedString = true
      index = end
    } else if (code >= 48 && code <= 57) {
      // 2^53 has 16 digits and begins with 9: a double holds shorter or smaller integers exactly.
      if (++digits > 16 || (digits === 16 && text.charCodeAt(index - 15) === 57)) longNumber = true
      continue
    } else if (code === 46) {
      digits = FRACTION
      continue
    } else if (code === 101 || code === 69) longNumber ||= isDigit(text.charCodeAt(index - 1))
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

function isEscaped(text: string, quote: number): boolean {
  let before = quote
  while (text.charCodeAt(before - 1) === 92) before--
  return (quote - before) % 2 === 1
}

/**
 * Gives the text of a number that a double would change: an integer that it cannot hold, a number
 * with point or exponent that prints back differently, or a number that becomes 0.
 */
function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined) return value
  if (/^-?\d+$/.test(source)) {
    return Number.isFinite(value) && BigInt(source) === BigInt(value) ? value : source
  }
  if (!Number.isFinite(value)) return value
  const written = decimalOf(source)
  if (value === 0) return written.digits === '' ? value : source
  const parsed = decimalOf(String(value))
  const isSame = written.digits === parsed.digits && written.zeros === parsed.zeros
  return written.zeros < 0 || isSame ? value : source
}

/** A decimal number as its significant digits and the zeros after them (below 0: a fraction). */
function decimalOf(text: string): { digits: string; zeros: number } {
  const [, integer = '', fraction = '', exponent = '0'] =
    /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const all = `${integer}${fraction}`.replace(/^0+/, '')
  const digits = all.replace(/0+$/, '')
  return { digits, zeros: Number(exponent) - fraction.length + all.length - digits.length }
}

const isDigit = (code: number) => code >= 48 && code <= 57

/** The first key that occurs twice in one object: the place of the fault in a dead letter. */
function findDuplicateKey(text: string): string {
  const open: Set<string>[] = []
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '{') open.push(new Set())
    else if (text[index] === '}') open.pop()
    else if (text[index] === '"') {
      const end = endOfString(text, index)
      const isKey = /^\s*:/.test(text.slice(end + 1))
      const key = text.slice(index + 1, end)
      if (isKey && open.at(-1)?.has(key)) return key
      if (isKey) open.at(-1)?.add(key)
      index = end
    }
  }
  return ''
}
