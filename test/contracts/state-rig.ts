import type { StateLocation } from '../../cloud-bridge/consumers/state/configured-store.ts'
import { keyOf, keysWithPrefix } from '../../cloud-bridge/consumers/state/row-keys.ts'
import type { PartitionState, StateStore } from '../../cloud-bridge/consumers/state/state.ts'

/** Where states are, and what a test must be able to do to that. */
export type StateRig = AsyncDisposable & {
  place: StateLocation
  /** What is in this state can be reached no more until the result is called. */
  makeUnreachable(consumer: string): Promise<() => Promise<void>>
}

export const bytes = (text: string) => Buffer.from(text)
/** Rows of keys, each of one part behind 'k'. */
export const rowsOf = (entries: Record<string, string | null>) =>
  new Map(
    Object.entries(entries).map(([part, value]) => [
      keyOf('k', part),
      value === null ? null : bytes(value),
    ]),
  )
/** What stands in a state, by the second part of its keys. */
export const readAll = async (state: Pick<PartitionState, 'range'>) =>
  (await state.range(keysWithPrefix('k'))).map(({ value }) => value.toString())
/** What the parts of the suite are given. */
export type StateSuite = { rig(): StateRig; store(): StateStore; drawName(): string }
