import { z } from 'zod'
import { configSchema } from '../schema.ts'
import { cures } from '../value-kinds.ts'

/** The path of a value in the configuration: names of keys, and indexes in lists. */
export type KeyPath = readonly (string | number)[]

/**
 * `group`: a key whose inner keys have defaults of their own. `structure`: a list or group that is
 * set as a whole.
 */
export type KeyKind = 'group' | 'structure' | 'texts' | 'text' | 'number' | 'flag'
export type ConfigKey = { path: string[]; kind: KeyKind; nullable: boolean }

function unwrap(wrapped: unknown): { inner: z.ZodType; nullable: boolean } {
  let inner = wrapped as z.ZodType
  let nullable = false
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodExactOptional
  ) {
    if (inner instanceof z.ZodNullable) nullable = true
    inner = inner.unwrap() as z.ZodType
  }
  return { inner, nullable }
}

function kindOf(inner: z.ZodType, nullable: boolean): KeyKind {
  if (inner instanceof z.ZodObject) return nullable ? 'structure' : 'group'
  if (inner instanceof z.ZodRecord) return 'structure'
  if (inner instanceof z.ZodArray)
    return inner.element instanceof z.ZodString ? 'texts' : 'structure'
  if (inner instanceof z.ZodBoolean) return 'flag'
  return inner instanceof z.ZodNumber ? 'number' : 'text'
}

function* walk(wrapped: unknown, path: string[]): Generator<ConfigKey> {
  const { inner, nullable } = unwrap(wrapped)
  if (path.length > 0) yield { path, kind: kindOf(inner, nullable), nullable }
  if (!(inner instanceof z.ZodObject)) return
  for (const [name, child] of Object.entries(inner.shape)) yield* walk(child, [...path, name])
}

/** All keys outside of lists, each group before the keys in the group. */
export const configKeys: readonly ConfigKey[] = [...walk(configSchema, [])]

function schemaAt(path: KeyPath): z.ZodType | undefined {
  let node: z.ZodType = configSchema
  for (const step of path) {
    if (node instanceof z.ZodArray && typeof step === 'number') node = unwrap(node.element).inner
    else if (node instanceof z.ZodRecord) node = unwrap(node.valueType).inner
    else if (node instanceof z.ZodObject && Object.hasOwn(node.shape, step)) {
      node = unwrap(node.shape[step]).inner
    } else return undefined
  }
  return node
}

/** Whether the schema has this key. */
export const isKnown = (path: KeyPath): boolean => schemaAt(path) !== undefined

/** The names of the keys directly below a path; empty when the path is not a group. */
export function namesAt(path: KeyPath): string[] {
  const node = schemaAt(path)
  return node instanceof z.ZodObject ? Object.keys(node.shape) : []
}

/** What an operator can do about a wrong value at a path, as a sentence without its full stop. */
export function cureAt(path: KeyPath): string {
  const node = schemaAt(path)
  return (node && cures.get(node)?.cure) ?? 'Write a group of keys below it, or leave it out'
}

/** What an operator can do about a wrong name in a group whose names the operator chooses. */
export function keyCureAt(path: KeyPath): string {
  const node = schemaAt(path)
  return (node instanceof z.ZodRecord && cures.get(node.keyType)?.cure) || cureAt(path)
}

/** The part of a path whose value has a default when the value is left out. */
export function defaultedPart(path: KeyPath): KeyPath {
  let length = 1
  const isGroup = (prefix: KeyPath) =>
    configKeys.some(key => key.kind === 'group' && pathText(key.path) === pathText(prefix))
  while (length < path.length && isGroup(path.slice(0, length))) length += 1
  return path.slice(0, length)
}

/** A path as an operator writes it: gateway.mqtt.port, ingest.routes[0].topic. */
export function pathText(path: KeyPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    const name = /^[\w-]{1,64}$/.test(step) ? step : JSON.stringify(step.slice(0, 64))
    return text === '' ? name : `${text}.${name}`
  }, '')
}
