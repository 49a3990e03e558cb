import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BatchSource, PendingBatch } from '../../cloud-bridge/forward/forwarder.ts'

/** A source to be tested, and the store it takes from. */
export type SourceRig<T extends PendingBatch = PendingBatch> = AsyncDisposable & {
  source: BatchSource<T>
  /** Stores events of these zones at once, in this order; the first one ever is number 1. */
  store(zones: string[]): void
  /** Closes the source in order and opens it anew, on the same store. */
  reopen(): void
}

const noLimit = { maxEvents: 1000, maxBytes: 1_000_000 }

/** The promise of the port EventSource, for every adapter. */
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

    const take = (limits = noLimit) => rig.source.readBatch(limits)
    const sequences = (taken: T | null) => taken?.events.map(({ sequence }) => sequence) ?? []
    const zones = (taken: T | null) => taken?.events.map(({ zone }) => zone) ?? []
    /** Takes and settles until there is nothing, and gives each take's sequences. */
    const drain = (limits = noLimit) => {
      const all: number[][] = []
      for (let taken = take(limits); taken; taken = take(limits)) {
        all.push(sequences(taken))
        rig.source.advance(taken)
      }
      return all
    }

    it('gives nothing while there is nothing', () => {
      expect(take()).toBeNull()
    })

    it('gives what was stored, oldest first, with topic and partitions', () => {
      rig.store(['a', 'b', 'a'])
      rig.store(['c'])
      const taken = take()
      expect(sequences(taken)).toEqual([1, 2, 3, 4])
      expect(zones(taken)).toEqual(['a', 'b', 'a', 'c'])
      expect(taken?.range).toMatchObject({ topic: 'readings', partitions: 3 })
      expect(new Set(taken?.events.map(({ value }) => value.toString('hex'))).size).toBe(4)
    })

    it('takes without removing: asked again it gives the same', () => {
      rig.store(['a', 'b'])
      const first = take()
      expect(take()).toEqual(first)
      rig.store(['c'])
      expect(sequences(take())).toEqual([1, 2, 3])
      expect(sequences(first)).toEqual([1, 2])
    })

    it('moves on when settled, to what was stored since the take too', () => {
      rig.store(['a', 'b'])
      const taken = take()
      rig.store(['c'])
      rig.source.advance(taken!)
      expect(sequences(take())).toEqual([3])
      rig.source.advance(take()!)
      expect(take()).toBeNull()
      rig.store(['d'])
      expect(sequences(take())).toEqual([4])
    })

    it('gives each event once, in order, whatever the limits', () => {
      for (let stored = 0; stored < 30; stored++) rig.store(['a', 'b'].slice(0, 1 + (stored % 2)))
      const limits = { maxEvents: 7, maxBytes: 1_000_000 }
      expect(drain(limits).flat()).toEqual(Array.from({ length: 45 }, (_, index) => index + 1))
    })

    it('takes no further group once it has as many events as asked for', () => {
      for (let stored = 0; stored < 10; stored++) rig.store(['a', 'b'])
      expect(drain({ maxEvents: 4, maxBytes: 1_000_000 })).toEqual([
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11, 12],
        [13, 14, 15, 16],
        [17, 18, 19, 20],
      ])
    })

    it('takes no further group once it has as many bytes as asked for', () => {
      for (let stored = 0; stored < 5; stored++) rig.store(['a'])
      const bytes = (taken: T) => taken.events.reduce((sum, { value }) => sum + value.length, 0)
      const one = bytes(take({ maxEvents: 1, maxBytes: 1_000_000 })!)
      expect(drain({ maxEvents: 1000, maxBytes: one + 1 })).toEqual([[1, 2], [3, 4], [5]])
    })

    it('gives at least one event, however small the limit', () => {
      rig.store(['a'])
      rig.store(['b'])
      expect(drain({ maxEvents: 1, maxBytes: 1 })).toEqual([[1], [2]])
    })

    it('remembers what was settled, and nothing else, when it was closed', () => {
      rig.store(['a', 'b'])
      rig.source.advance(take()!)
      rig.store(['c'])
      take()
      rig.reopen()
      expect(sequences(take())).toEqual([3])
    })
  })
}
