import { type Fault, mayBeSecret, shownValue } from './faults.ts'
import { type ConfigKey, configKeys } from './keys.ts'
import { nearestNames } from './suggestion.ts'

/** A value from an environment variable that replaces the value from the file. */
export type Override = { name: string; path: string[]; value: unknown }

const prefix = 'SLUICE_'

/** Variables of the launcher and of main.ts files that are not configuration keys. */
const reserved = new Set(['SLUICE_CONFIG', 'SLUICE_CACHE', 'SLUICE_MEMORY'])

/** The variable that overrides a key: outbox.commitWindowMs is SLUICE_OUTBOX_COMMIT_WINDOW_MS. */
export function variableOf(path: readonly string[]): string {
  const snake = (name: string) => name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()
  return prefix + path.map(snake).join('_')
}

const settable = new Map(
  configKeys.filter(({ kind }) => kind !== 'group').map(key => [variableOf(key.path), key]),
)

/**
 * Returns all overrides in the environment, the override of a structure before the overrides of
 * keys within the structure. The entries of a list are separated by commas, structures are JSON,
 * and `null` is null. A value that does not look like the type of its key stays text, so that the
 * schema refuses the value.
 */
export function readOverrides(env: Record<string, string | undefined>) {
  const overrides: Override[] = []
  const faults: Fault[] = []
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !name.startsWith(prefix) || reserved.has(name)) continue
    const key = settable.get(name)
    if (!key) {
      faults.push(unknownVariable(name, text))
      continue
    }
    try {
      overrides.push({ name, path: key.path, value: parse(text, key) })
    } catch {
      const value = mayBeSecret(key.path) ? '[secret]' : shownValue(text)
      const cure =
        'Write the value as JSON, such as {"key":"text"} or [{"key":"text"}], or unset it'
      const where = `environment variable ${name}`
      faults.push({ key: key.path.join('.'), value, reason: 'is not valid JSON', cure, where })
    }
  }
  overrides.sort((a, b) => a.path.length - b.path.length)
  return { overrides, faults }
}

function parse(text: string, { kind, nullable }: ConfigKey): unknown {
  if (kind === 'structure') return JSON.parse(text)
  if (nullable && text === 'null') return null
  if (kind === 'texts') return text.trim() === '' ? [] : text.split(',').map(item => item.trim())
  if (kind === 'number' && /^-?\d+(\.\d+)?$/.test(text)) return Number(text)
  if (kind === 'flag' && /^(true|false)$/.test(text)) return text === 'true'
  return text
}

function unknownVariable(name: string, text: string): Fault {
  const [close] = nearestNames(name, [...settable.keys()])
  const cure = /^SLUICE_(\w+_)?(SERVICE|PORT)(_|$)/.test(name)
    ? 'Unset it (Kubernetes sets such names for a service: use enableServiceLinks: false)'
    : 'Unset it'
  return {
    key: name,
    value: mayBeSecret([name]) ? '[secret]' : shownValue(text),
    reason: 'overrides no known key',
    cure: close === undefined ? cure : `Did you mean ${close}? Otherwise, unset it`,
    where: 'environment',
  }
}
