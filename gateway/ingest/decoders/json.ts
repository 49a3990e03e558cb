import { isUtf8 } from 'node:buffer'
import type { Measurement } from '../../../config/event/sensor-reading.ts'
import { invisibleCharacter } from '../../../config/syntax/invisible-characters.ts'

export type DecodeLimits = { depthMax: number; measurementsMax: number }
/** The reason why a payload is not a reading, and the place of the fault in the payload. */
export type DecodeFault = { reason: string; place: string }

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/**
 * Keys with which a program that copies the measurements of an event into an object could change
 * the object's prototype.
 */
const PROTOTYPE_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * The longest name of a metric, in UTF-16 units. The name of a nested metric repeats all outer
 * keys. Without a limit, a payload of 128 KB could become an event of 120 MB.
 */
const METRIC_MAX_LENGTH = 512

/**
 * Decodes a JSON payload (RFC 8259): an object, or a single value, whose metric is `value`. The
 * name of a metric is the path of its keys, with '.' between two keys (arrays as `a.0`). Decoding
 * never changes a value. A number that a double cannot represent exactly becomes a text. A value
 * that JSON allows and a reading cannot represent exactly in any way is a fault.
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

/**
 * The most characters in all metric names of one payload. Each name repeats its outer keys, so
 * without this limit a small payload could become a large event.
 */
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
    const invisible = invisibleCharacter(key)
    if (invisible !== null) {
      return { reason: `a key holds the invisible character ${invisible}`, place: metric }
    }
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

/**
 * A number of more characters stays a text. No sensor measures so many digits, and arithmetic with
 * them would cost more than linear time.
 */
const NUMBER_MAX_CHARS = 1000

/**
 * Finds what JSON.parse does not report: the number of keys (one colon each), the depth, whether a
 * number may be too long for a double or for arithmetic, and whether a string contains a dot.
 */
function scan(text: string) {
  let [colons, depth, deepest, digits] = [0, 0, 0, 0]
  let [hasPoint, longNumber] = [false, false]
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
      // A double holds every number of 15 digits. 2^53 has 16 digits and begins with 9: a double
      // holds shorter or smaller integers, too.
      if (++digits < 16) continue
      if (digits > 16 || hasPoint || text.charCodeAt(index - 15) === 57) longNumber = true
      continue
    } else if (code === 46) {
      hasPoint = true
      continue
    } else if (code === 101 || code === 69) longNumber ||= isDigit(text.charCodeAt(index - 1))
    else if (code === 58) colons++
    else if (code === 123 || code === 91) deepest = Math.max(deepest, ++depth)
    else if (code === 125 || code === 93) depth--
    digits = 0
    hasPoint = false
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

/** The longest argument of `toPrecision`. */
const PRECISION_MAX = 100

/**
 * A reviver for JSON.parse: returns the source text of each number that a double would change, and
 * any other value unchanged. A double changes an integer that it cannot represent. A double keeps
 * another number when its shortest text means the same number, or when the double is the source if
 * it is printed with as many digits as the source. The second rule is for programs that print 17 or
 * more digits: 21.399999999999999 is 21.4. A number of more than NUMBER_MAX_CHARS is returned as
 * its source text, too.
 */
function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined) return value
  if (source.length > NUMBER_MAX_CHARS) return source
  if (/^-?\d+$/.test(source)) {
    return Number.isFinite(value) && BigInt(source) === BigInt(value) ? value : source
  }
  if (!Number.isFinite(value)) return value
  const written = decimalOf(source)
  if (value === 0) return written.digits === '' ? value : source
  const isWritten = (text: string) => {
    const { digits, zeros } = decimalOf(text)
    return digits === written.digits && zeros === written.zeros
  }
  const precision = written.digits.length
  const isKept =
    isWritten(String(value)) ||
    (precision <= PRECISION_MAX && isWritten(value.toPrecision(precision)))
  return isKept ? value : source
}

/**
 * Splits a decimal number into its significant digits and the number of zeros after them. A
 * negative number of zeros means that the number has a fraction.
 */
function decimalOf(text: string): { digits: string; zeros: number } {
  const [, integer = '', fraction = '', exponent = '0'] =
    /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const all = `${integer}${fraction}`
  let [start, end] = [0, all.length]
  while (start < end && all.charCodeAt(start) === 48) start++
  while (end > start && all.charCodeAt(end - 1) === 48) end--
  const zeros = Number(exponent) - fraction.length + all.length - end
  return { digits: all.slice(start, end), zeros }
}

const isDigit = (code: number) => code >= 48 && code <= 57

/**
 * Returns the first key that occurs twice in one object, as the place of the fault; '' when no key
 * does.
 */
function findDuplicateKey(text: string): string {
  const open: Set<string>[] = []
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 123) open.push(new Set())
    else if (code === 125) open.pop()
    else if (code === 34) {
      const end = endOfString(text, index)
      const key = text.slice(index + 1, end)
      index = end
      const keys = open.at(-1)
      if (!keys || !isBeforeColon(text, end + 1)) continue
      if (keys.has(key)) return key
      keys.add(key)
    }
  }
  return ''
}

/** Whether only white space (RFC 8259, section 2) stands between `index` and the next colon. */
function isBeforeColon(text: string, index: number): boolean {
  let at = index
  while (WHITE_SPACE.has(text.charCodeAt(at))) at++
  return text.charCodeAt(at) === 58
}

/** Tab, line feed, carriage return and space. */
const WHITE_SPACE = new Set([9, 10, 13, 32])
