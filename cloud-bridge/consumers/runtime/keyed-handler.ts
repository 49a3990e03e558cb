import { keyOf } from '../state/row-keys.ts'
import type { Effect, PartitionState } from '../state/state.ts'
import type { Handling, ReceivedEvent } from './handler.ts'

/** What a handler wants sent: under the same id it is the same thing. */
export type HandlerEffect = { topic: string; key: string; value: object }

/**
 * A consumer as a pure function. Of each key it has one state, a value that JSON can write, which
 * it never changes but gives anew. What it throws at is buried as a dead letter.
 */
export type Handler<State> = {
  /** Of its group, its state and the command: small letters and dashes. */
  name: string
  /** Whose state the event changes; null: the event means nothing to it. */
  key(event: ReceivedEvent['event']): string | null
  initial: State
  handle(state: State, arrived: ReceivedEvent): { state: State; effects?: readonly HandlerEffect[] }
}

type Held = { state: unknown }

const KIND = 'state'
/** So many states are kept in memory; the others are read again when they are needed. */
const KEPT_MAX = 50_000

/** What runs a handler on the state of one partition. */
export function createKeyedHandling<State>(
  handler: Handler<State>,
  stored: Pick<PartitionState, 'get'>,
): Handling {
  const held = new Map<string, Held>()
  const changed = new Map<string, Held>()
  let effects: Effect[] = []
  /** What it throws at is told when the event is handled. */
  const keysOf = (event: ReceivedEvent['event']) => {
    try {
      return handler.key(event) ?? []
    } catch {
      return []
    }
  }
  return {
    async load(events) {
      if (held.size > KEPT_MAX && changed.size === 0) held.clear()
      const keys = new Set(events.flatMap(({ event }) => keysOf(event)))
      const missing = [...keys].filter(key => !held.has(key))
      const values = await stored.get(missing.map(key => keyOf(KIND, key)))
      for (const [at, key] of missing.entries()) {
        const value = values[at]
        const state = value ? JSON.parse(value.toString()) : handler.initial
        held.set(key, { state })
      }
    },
    handle(arrived) {
      const { event } = arrived
      const key = handler.key(event)
      if (key === null) return
      const holder = held.get(key)!
      const { state, effects: wanted = [] } = handler.handle(holder.state as State, arrived)
      const own = wanted.map(({ topic, key: to, value }, at): Effect => {
        const id = `${handler.name}/${event.id}/${at}`
        return { id, topic, key: to, value: Buffer.from(JSON.stringify({ id, ...value })) }
      })
      if (state !== holder.state) {
        holder.state = state
        changed.set(key, holder)
      }
      effects.push(...own)
    },
    takeChanges() {
      const rows = new Map<string, Buffer>()
      for (const [key, { state }] of changed) {
        rows.set(keyOf(KIND, key), Buffer.from(JSON.stringify(state)))
      }
      changed.clear()
      const taken = effects
      effects = []
      return { rows, effects: taken }
    },
  }
}
