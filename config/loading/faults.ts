import { isKnown, type KeyPath, pathText } from './keys.ts'

/** One thing wrong with the configuration. `value` is ready to print: short, and never a secret. */
export type Fault = { key: string; value?: string; reason: string; cure: string; where?: string }

/**
 * A fault that was found at a path, before its value and its place were looked up. `others` are the
 * keys that it lies between; `value` is for what nobody gave, a default.
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

const shownMaxLength = 80

/** A value as a fault shows it: on one line, cut to 80 characters, lists and groups in short. */
export function shownValue(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : '[…]'
  if (typeof value === 'object' && value !== null) {
    return Object.keys(value).length === 0 ? '{}' : '{…}'
  }
  if (typeof value !== 'string') return String(value)
  // A name and a password may stand before the host of a URL.
  const safe = value.replace(/\/\/[^/]*@/, '//[secret]@')
  const cut = safe.length > shownMaxLength ? `${safe.slice(0, shownMaxLength)}…` : safe
  return JSON.stringify(cut)
}

/**
 * Whether a value here may be a secret that somebody wrote where it does not belong
 * (kafka.sasl.password, KAFKA_TOKEN), so that no fault may show it.
 */
export function mayBeSecret(path: KeyPath): boolean {
  if (path.at(-1) === 'sasl') return true
  if (isKnown(path)) return false
  return path.includes('sasl') || /pass|secret|token|credential|key|sasl/i.test(pathText(path))
}
