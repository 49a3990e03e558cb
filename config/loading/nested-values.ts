import type { KeyPath } from './keys.ts'

const isIndexable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

/** Whether this is a mapping of keys. */
export const isGroup = (value: unknown): value is Record<string, unknown> =>
  isIndexable(value) && !Array.isArray(value)

/** The value at a path; undefined if there is none. */
export function valueAt(root: unknown, path: KeyPath): unknown {
  let value = root
  for (const step of path) {
    if (!isIndexable(value) || !Object.hasOwn(value, step)) return undefined
    value = value[step]
  }
  return value
}

/** A copy with the value at a path replaced, or removed if undefined; what is in the way stays. */
export function withValue(root: unknown, path: readonly string[], value: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return value
  // What an alias names twice in a YAML file is one object here: hence copies, no assignments.
  const group = root ?? {}
  if (!isGroup(group)) return root
  const own = Object.hasOwn(group, step) ? group[step] : undefined
  const next = rest.length === 0 ? value : withValue(own, rest, value)
  const others = Object.entries(group).filter(([name]) => name !== step)
  return Object.fromEntries(next === undefined ? others : [...others, [step, next]])
}

/** Freezes a value and all that is in it. */
export function freeze<T>(value: T): T {
  if (isIndexable(value) && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) freeze(inner)
  }
  return value
}
