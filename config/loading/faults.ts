import { isKnown, type KeyPath, pathText } from './keys.ts'

/** A fault of the configuration. `value` is ready to print: short, and without any secret. */
export type Fault = { key: string; value?: string; reason: string; cure: string; where?: string }

/**
 * A fault at a path, before the fault has its value and location. `others` are further keys that
 * the fault concerns. `value` is set only when the faulty value is a default, because no file
 * contains a default.
 */
export type Finding = {
  path: KeyPath
  reason: string
  cure: string
  others?: KeyPath[]
  value?: unknown
}

/** Returns one line for each fault: `key = value: reason. Cure (line 7 of sluice.yaml)`. */
export function describeFaults(faults: readonly Fault[]): string {
  return faults
    .map(({ key, value, reason, cure, where }) => {
      const subject = value === undefined ? key : `${key} = ${value}`
      return `${subject}: ${reason}. ${cure}${where === undefined ? '' : ` (${where})`}`
    })
    .join('\n')
}

const SHOWN_MAX_LENGTH = 80

/**
 * A value as a fault shows the value: on one line, at most 80 characters, without the content of
 * lists and groups.
 */
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
 * Whether the value at a path may be a secret under a wrong key (kafka.sasl.password, KAFKA_TOKEN).
 * No fault may show such a value.
 */
export function mayBeSecret(path: KeyPath): boolean {
  if (path.at(-1) === 'sasl') return true
  if (isKnown(path)) return false
  return path.includes('sasl') || /pass|secret|token|credential|key|sasl/i.test(pathText(path))
}
