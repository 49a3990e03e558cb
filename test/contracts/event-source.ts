import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BatchSource, PendingBatch } from '../../cloud-bridge/forward/forwarder.ts'

/** A source under test, and a way to store the events that the source reads. */
export type SourceRig<T extends PendingBatch = PendingBatch> = AsyncDisposable & {
  source: BatchSource<T>
  /** Stores events of these zones as one group, in this order; the first sequence is 1. */
  store(zones: string[]): void
  /** Closes the source in order and opens it again, on the same store. */
  reopen(): void
}

const noLimit = { maxEvents: 1000, maxBytes: 1_000_000 }

/** The contract of the port BatchSource, for every adapter. */
export function describeEventSource<T extends PendingBatch>(
  name: string,
  openRig: () => Promise<SourceRig<T>>,
): void {
  describe(`the event source ${name}`, () => {
    let rig: SourceRig<T>
    beforeEach(async () => {
      rig = await openRig()
    })
    afterEach(() => rig[Symbol.asyncDispose]())

    const read = (limits = noLimit) => rig.source.readBatch(limits)
    const sequences = (batch: T | null) => batch?.events.map(({ sequence }) => sequence) ?? []
    const zones = (batch: T | null) => batch?.events.map(({ zone }) => zone) ?? []
    /** Reads and advances until nothing is left; returns the sequences of each batch. */
    const drain = (limits = noLimit) => {
      const all: number[][] = []
      for (let batch = read(limits); batch; batch = read(limits)) {
        all.push(sequences(batch))
        rig.source.advance(batch)
      }
      return all
    }

    it('reads nothing from an empty store', () => {
      expect(read()).toBeNull()
    })

    it('reads the stored events, oldest first, with topic and partitions', () => {
      rig.store(['a', 'b', 'a'])
      rig.store(['c'])
      const batch = read()
      expect(sequences(batch)).toEqual([1, 2, 3, 4])
      expect(zones(batch)).toEqual(['a', 'b', 'a', 'c'])
      expect(batch?.range).toMatchObject({ topic: 'readings', partitions: 3 })
      expect(new Set(batch?.events.map(({ value }) => value.toString('hex'))).size).toBe(4)
    })

    it('reads the same events again until it advances', () => {
      rig.store(['a', 'b'])
      const first = read()
      expect(read()).toEqual(first)
      rig.store(['c'])
      expect(sequences(read())).toEqual([1, 2, 3])
      expect(sequences(first)).toEqual([1, 2])
    })

    it('advances past a batch, and reads what was stored since', () => {
      rig.store(['a', 'b'])
      const batch = read()
      rig.store(['c'])
      rig.source.advance(batch!)
      expect(sequences(read())).toEqual([3])
      rig.source.advance(read()!)
      expect(read()).toBeNull()
      rig.store(['d'])
      expect(sequences(read())).toEqual([4])
    })

    it('reads each event once, in order, with any limits', () => {
      for (let stored = 0; stored < 30; stored++) rig.store(['a', 'b'].slice(0, 1 + (stored % 2)))
      const limits = { maxEvents: 7, maxBytes: 1_000_000 }
      expect(drain(limits).flat()).toEqual(Array.from({ length: 45 }, (_, index) => index + 1))
    })

    it('reads no further group after maxEvents', () => {
      for (let stored = 0; stored < 10; stored++) rig.store(['a', 'b'])
      expect(drain({ maxEvents: 4, maxBytes: 1_000_000 })).toEqual([
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11, 12],
        [13, 14, 15, 16],
        [17, 18, 19, 20],
      ])
    })

    it('reads no further group after maxBytes', () => {
      for (let stored = 0; stored < 5; stored++) rig.store(['a'])
      const bytes = (batch: T) => batch.events.reduce((sum, { value }) => sum + value.length, 0)
      const eventBytes = bytes(read({ maxEvents: 1, maxBytes: 1_000_000 })!)
      expect(drain({ maxEvents: 1000, maxBytes: eventBytes + 1 })).toEqual([[1, 2], [3, 4], [5]])
    })

    it('reads at least one event with any limit', () => {
      rig.store(['a'])
      rig.store(['b'])
      expect(drain({ maxEvents: 1, maxBytes: 1 })).toEqual([[1], [2]])
    })

    it('remembers how far it advanced, and nothing else, after a reopen', () => {
      rig.store(['a', 'b'])
      rig.source.advance(read()!)
      rig.store(['c'])
      read()
      rig.reopen()
      expect(sequences(read())).toEqual([3])
    })
  })
}
