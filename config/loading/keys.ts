import { z } from 'zod'
import { configSchema, cures } from '../schema.ts'

/** Where a value stands: keys, and places in lists. */
export type KeyPath = readonly (string | number)[]

/** `group`: keys with own defaults; `structure`: a list or group that is set as a whole. */
export type KeyKind = 'group' | 'structure' | 'texts' | 'text' | 'number' | 'flag'
export type ConfigKey = { path: string[]; kind: KeyKind; nullable: boolean }

function bare(wrapped: unknown): { inner: z.ZodType; nullable: boolean } {
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
  const { inner, nullable } = bare(wrapped)
  if (path.length > 0) yield { path, kind: kindOf(inner, nullable), nullable }
  if (!(inner instanceof z.ZodObject)) return
  for (const [name, child] of Object.entries(inner.shape)) yield* walk(child, [...path, name])
}

/** Every key outside of lists, groups before what is in them. */
export const configKeys: readonly ConfigKey[] = [...walk(configSchema, [])]

function schemaAt(path: KeyPath): z.ZodType | undefined {
  let at: z.ZodType = configSchema
  for (const step of path) {
    if (at instanceof z.ZodArray && typeof step === 'number') at = bare(at.element).inner
    else if (at instanceof z.ZodRecord) at = bare(at.valueType).inner
    else if (at instanceof z.ZodObject && Object.hasOwn(at.shape, step)) {
      at = bare(at.shape[step]).inner
    } else return undefined
  }
  return at
}

/** Whether the schema has this key. */
export const isKnown = (path: KeyPath): boolean => schemaAt(path) !== undefined

/** The names of the keys directly beneath this one; none if it is not a group. */
export function namesAt(path: KeyPath): string[] {
  const at = schemaAt(path)
  return at instanceof z.ZodObject ? Object.keys(at.shape) : []
}

/** What an operator can do about a wrong value here. */
export function cureAt(path: KeyPath): string {
  const at = schemaAt(path)
  return (at && cures.get(at)?.cure) ?? 'Write a group of keys beneath it, or leave it out'
}

/** What an operator can do about a wrong name in a group whose names are free. */
export function keyCureAt(path: KeyPath): string {
  const at = schemaAt(path)
  return (at instanceof z.ZodRecord && cures.get(at.keyType)?.cure) || cureAt(path)
}

/** The part of a path that can be left out and then has its default. */
export function defaultedPart(path: KeyPath): KeyPath {
  let length = 1
  const isGroup = (at: KeyPath) =>
    configKeys.some(k => k.kind === 'group' && pathText(k.path) === pathText(at))
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
