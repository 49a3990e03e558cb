import { isKnown, type KeyPath, pathText } from './keys.ts'

/** A fault of the configuration. `value` is ready to print: short, and never a secret. */
export type Fault = { key: string; value?: string; reason: string; cure: string; where?: string }

/**
 * A fault at a path, before its value and location are added. `others` are further keys that the
 * fault concerns; `value` is set for a default, which no file contains.
 */
export type Finding = {
  path: KeyPath
  reason: string
  cure: string
  others?: KeyPath[]
  value?: unknown
}

/** One line for each fault: `key = value: reason. Cure (line 7 of sluice.yaml)`. */
export function describeFaults(faults: readonly Fault[]): string {
  return faults
    .map(({ key, value, reason, cure, where }) => {
      const subject = value === undefined ? key : `${key} = ${value}`
      return `${subject}: ${reason}. ${cure}${where === undefined ? '' : ` (${where})`}`
    })
    .join('\n')
}

const SHOWN_MAX_LENGTH = 80

/** A value as a fault shows it: on one line, at most 80 characters, lists and groups elided. */
export function shownValue(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : '[…]'
  if (typeof value === 'object' && value !== null) {
    return Object.keys(value).length === 0 ? '{}' : '{…}'
  }
  if (typeof value !== 'string') return String(value)
  // A URL may contain a user name and a password before its host.
  const safe = value.replace(/\/\/[^/]*@/, '//[secret]@')
  const isLong = safe.length > SHOWN_MAX_LENGTH
  return JSON.stringify(isLong ? `${safe.slice(0, SHOWN_MAX_LENGTH)}…` : safe)
}

/**
 * Whether the value at a path may be a misplaced secret (kafka.sasl.password, KAFKA_TOKEN), which
 * no fault may show.
 */
export function mayBeSecret(path: KeyPath): boolean {
  if (path.at(-1) === 'sasl') return true
  if (isKnown(path)) return false
  return path.includes('sasl') || /pass|secret|token|credential|key|sasl/i.test(pathText(path))
}
