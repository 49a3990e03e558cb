import type { KeyPath } from './keys.ts'

const isIndexable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

/** Whether a value is a mapping of keys. */
export const isGroup = (value: unknown): value is Record<string, unknown> =>
  isIndexable(value) && !Array.isArray(value)

/** The value at a path; undefined when the path does not exist. */
export function valueAt(root: unknown, path: KeyPath): unknown {
  let value = root
  for (const step of path) {
    if (!isIndexable(value) || !Object.hasOwn(value, step)) return undefined
    value = value[step]
  }
  return value
}

/**
 * Returns a copy of `root` in which the value at a path is replaced, or removed when `value` is
 * undefined. When a value on the way to the path is not a group, nothing is changed.
 */
export function withValue(root: unknown, path: readonly string[], value: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return value
  // A YAML alias makes two paths share one object, so the function copies groups and assigns
  // nothing.
  const group = root ?? {}
  if (!isGroup(group)) return root
  const own = Object.hasOwn(group, step) ? group[step] : undefined
  const next = rest.length === 0 ? value : withValue(own, rest, value)
  const others = Object.entries(group).filter(([name]) => name !== step)
  return Object.fromEntries(next === undefined ? others : [...others, [step, next]])
}

/** Freezes a value with everything in it, and returns the value. */
export function freeze<T>(value: T): T {
  if (isIndexable(value) && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) freeze(inner)
  }
  return value
}
