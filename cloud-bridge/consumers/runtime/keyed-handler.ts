import { keyOf } from '../state/row-keys.ts'
import type { Effect, PartitionState } from '../state/state.ts'
import type { Handling, ReceivedEvent } from './handler.ts'

/**
 * A record that a handler sends. An `id` is added to `value`. When the handler processes the event
 * a second time, the record has the same id.
 */
export type HandlerEffect = { topic: string; key: string; value: object }

/**
 * A consumer as a pure function. Each key has one state: a JSON value that `handle` never modifies
 * but replaces. An event for which the handler throws becomes a dead letter.
 */
export type Handler<State> = {
  /**
   * The name of the consumer, from which the names of its group and its state follow. Small letters
   * and dashes.
   */
  name: string
  /** The key whose state the event changes; null ignores the event. */
  key(event: ReceivedEvent['event']): string | null
  initial: State
  handle(
    state: State,
    received: ReceivedEvent,
  ): { state: State; effects?: readonly HandlerEffect[] }
}

type CachedState = { state: unknown }

const KIND = 'state'
/** Above this number of keys the cache is emptied, when no change is uncommitted. */
const CACHED_MAX = 50_000

/** Runs a handler on the state of one partition. */
export function createKeyedHandling<State>(
  handler: Handler<State>,
  stored: Pick<PartitionState, 'get'>,
): Handling {
  const cache = new Map<string, CachedState>()
  const changed = new Map<string, CachedState>()
  let effects: Effect[] = []
  /** An error of `key` is ignored here: `handle` reports it for its event. */
  const keysOf = (event: ReceivedEvent['event']) => {
    try {
      return handler.key(event) ?? []
    } catch {
      return []
    }
  }
  return {
    async load(events) {
      if (cache.size > CACHED_MAX && changed.size === 0) cache.clear()
      const keys = new Set(events.flatMap(({ event }) => keysOf(event)))
      const missing = [...keys].filter(key => !cache.has(key))
      const values = await stored.get(missing.map(key => keyOf(KIND, key)))
      for (const [index, key] of missing.entries()) {
        const value = values[index]
        const state = value ? JSON.parse(value.toString()) : handler.initial
        cache.set(key, { state })
      }
    },
    handle(received) {
      const { event } = received
      const key = handler.key(event)
      if (key === null) return
      const cached = cache.get(key)!
      const result = handler.handle(cached.state as State, received)
      const newEffects = (result.effects ?? []).map(({ topic, key, value }, index): Effect => {
        const id = `${handler.name}/${event.id}/${index}`
        return { id, topic, key, value: Buffer.from(JSON.stringify({ id, ...value })) }
      })
      if (result.state !== cached.state) {
        cached.state = result.state
        changed.set(key, cached)
      }
      effects.push(...newEffects)
    },
    drainChanges() {
      const rows = new Map<string, Buffer>()
      for (const [key, { state }] of changed) {
        rows.set(keyOf(KIND, key), Buffer.from(JSON.stringify(state)))
      }
      changed.clear()
      const drained = effects
      effects = []
      return { rows, effects: drained }
    },
  }
}
