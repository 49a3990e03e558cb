import type { StateLocation } from '../../cloud-bridge/consumers/state/configured-store.ts'
import { keyOf, keysWithPrefix } from '../../cloud-bridge/consumers/state/row-keys.ts'
import type { PartitionState, StateStore } from '../../cloud-bridge/consumers/state/state.ts'

/** A place for states, and what a test needs to do to the place. */
export type StateRig = AsyncDisposable & {
  place: StateLocation
  /** Makes a consumer's state unavailable until the returned function is called. */
  makeUnreachable(consumer: string): Promise<() => Promise<void>>
}

export const bytes = (text: string) => Buffer.from(text)
/** Rows with the keys [`k`, part], one for each entry of part and value. */
export const rowsOf = (entries: Record<string, string | null>) =>
  new Map(
    Object.entries(entries).map(([part, value]) => [
      keyOf('k', part),
      value === null ? null : bytes(value),
    ]),
  )
/** The values of all rows with the prefix `k`, in the order of their keys. */
export const readAll = async (state: Pick<PartitionState, 'range'>) =>
  (await state.range(keysWithPrefix('k'))).map(({ value }) => value.toString())
/** What all parts of the contract suite for state stores use. */
export type StateSuite = { rig(): StateRig; store(): StateStore; drawName(): string }
