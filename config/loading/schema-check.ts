import type { z } from 'zod'
import { configSchema, type Settings } from '../schema.ts'
import type { Finding } from './faults.ts'
import {
  configKeys,
  cureAt,
  defaultedPart,
  type KeyPath,
  keyCureAt,
  namesAt,
  pathText,
} from './keys.ts'
import { valueAt, withValue } from './nested-values.ts'
import { nearestNames } from './suggestion.ts'

/**
 * Checks a value against the schema. Returns the faults, and settings in which every faulty part is
 * replaced by its default, so that further checks can check the valid parts.
 */
export function checkShape(input: unknown): { findings: Finding[]; settings: Settings } {
  const checked = configSchema.safeParse(input, { error: reasonOf })
  if (checked.success) return { findings: [], settings: checked.data }
  const findings = checked.error.issues.flatMap(issue => findingsOf(issue, input))
  const corrected = findings.reduce((value, { path }) => {
    return withValue(value, defaultedPart(path).map(String), undefined)
  }, input)
  // When a value has several faults, the last fault is the most precise: 1e30 is neither an integer
  // nor a port.
  const byPath = new Map(findings.map(finding => [pathText(finding.path), finding]))
  return { findings: [...byPath.values()], settings: configSchema.parse(corrected) }
}

const TYPE_NAMES: Record<string, string> = {
  int: 'a whole number',
  number: 'a whole number',
  string: 'text',
  boolean: 'true or false',
  object: 'a group of keys',
  record: 'a group of keys',
  array: 'a list',
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a group of keys'
  return typeof value === 'string' ? 'text' : String(value)
}

/**
 * Returns why a value is invalid, as the end of a sentence; undefined selects the schema's own
 * text.
 */
function reasonOf(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return 'is missing'
  const unit = issue.origin === 'array' ? ' entries' : ''
  const verb = unit ? 'have' : 'be'
  if (issue.code === 'too_big') return `must ${verb} at most ${issue.maximum}${unit}`
  if (issue.code === 'too_small') return `must ${verb} at least ${issue.minimum}${unit}`
  if (issue.code === 'invalid_value') return 'is not one of the choices'
  if (issue.code !== 'invalid_type') return undefined
  const expected = TYPE_NAMES[issue.expected] ?? issue.expected
  const actual = kindOf(issue.input)
  return Number.isFinite(issue.input) && expected === TYPE_NAMES.int
    ? `must be ${expected}`
    : `must be ${expected}, not ${actual}`
}

function findingsOf(issue: z.core.$ZodIssue, input: unknown): Finding[] {
  const path = issue.path.map(step => (typeof step === 'number' ? step : String(step)))
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(name => {
      const reason = 'is not a known key'
      return { path: [...path, name], reason, cure: unknownCure(path, name) }
    })
  }
  if (issue.code === 'invalid_key') {
    return [{ path, reason: issue.issues[0]!.message, cure: keyCureAt(path.slice(0, -1)) }]
  }
  const isText = issue.code === 'invalid_type' && issue.expected === 'string'
  const quoteHint =
    isText && /number|boolean/.test(typeof valueAt(input, path)) ? ', in quotes' : ''
  return [{ path, reason: issue.message, cure: cureAt(path) + quoteHint }]
}

function unknownCure(path: KeyPath, name: string): string {
  const close = nearestNames(name, namesAt(path))[0]
  if (close !== undefined) return `Did you mean ${pathText([...path, close])}?`
  const elsewhere = configKeys
    .filter(key => key.path.at(-1) === name)
    .map(key => key.path.join('.'))
  if (elsewhere.length > 0) return `Did you mean ${orList(elsewhere.slice(0, 3))}?`
  const flat = configKeys.find(key => key.path.join('.') === name)
  if (flat) return `Nest it: ${flat.path.join(': and below it ')}:`
  return `Remove it; the keys here are ${namesAt(path).join(', ')}`
}

const orList = (names: string[]) =>
  names.length === 1 ? names[0] : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
