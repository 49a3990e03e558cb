import { DDSketch } from '@datadog/sketches-js'

/**
 * Percentiles of a series within 1 % of the value (Masson, Rim, Lee: DDSketch, VLDB 2019): it takes
 * values in any order, and sketches add up. A bin holds what is within 2 % of each other; nearer to
 * zero than `NOTHING` is zero, so between that and the largest value (measured.ts) there are at
 * most 3,200 of either sign. The library's sketch with a limit of bins counts some values twice.
 */
export type Sketch = DDSketch

const RELATIVE_ACCURACY = 0.01
const NOTHING = 1e-12
const BIN_BYTES = 8

export function emptySketch(): Sketch {
  const sketch = new DDSketch({ relativeAccuracy: RELATIVE_ACCURACY })
  sketch.mapping.minPossible = NOTHING
  return sketch
}

/** Adds all of `other` to a sketch. The library's own merge leaves out what is below zero. */
export function mergeInto(sketch: Sketch, other: Sketch): void {
  const bins = binsOf(other)
  for (const { which, key, count } of bins) addBin(sketch, which, key, count)
}

/** A quantile, 0 to 1; null of nothing. */
export function quantile(sketch: Sketch, share: number): number | null {
  return sketch.count === 0 ? null : sketch.getValueAtQuantile(share)
}

type Bin = { which: -1 | 0 | 1; key: number; count: number }

function binsOf({ store, negativeStore, zeroCount }: Sketch): Bin[] {
  const of = (which: -1 | 1, { bins, offset }: Sketch['store']) =>
    bins.flatMap((count, at) => (count > 0 ? [{ which, key: at + offset, count }] : []))
  const zero: Bin[] = zeroCount > 0 ? [{ which: 0, key: 0, count: zeroCount }] : []
  return [...of(1, store), ...of(-1, negativeStore), ...zero]
}

function addBin(sketch: Sketch, which: Bin['which'], key: number, count: number): void {
  if (which === 0) sketch.zeroCount += count
  else (which > 0 ? sketch.store : sketch.negativeStore).add(key, count)
  sketch.count += count
}

/** 8 bytes a bin: its key with its sign's place, and how many values it has. */
export function packSketch(sketch: Sketch): Buffer {
  const bins = binsOf(sketch)
  const packed = Buffer.allocUnsafe(bins.length * BIN_BYTES)
  for (const [at, { which, key, count }] of bins.entries()) {
    packed.writeInt8(which, at * BIN_BYTES)
    packed.writeIntLE(key, at * BIN_BYTES + 1, 3)
    packed.writeUInt32LE(count, at * BIN_BYTES + 4)
  }
  return packed
}

export function unpackSketch(packed: Buffer): Sketch {
  const sketch = emptySketch()
  for (let at = 0; at < packed.length; at += BIN_BYTES) {
    const which = packed.readInt8(at) as Bin['which']
    addBin(sketch, which, packed.readIntLE(at + 1, 3), packed.readUInt32LE(at + 4))
  }
  return sketch
}
