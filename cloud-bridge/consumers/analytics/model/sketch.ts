import { DDSketch } from '@datadog/sketches-js'

/**
 * Percentiles of a series within 1 % of the value (Masson, Rim, Lee: DDSketch, VLDB 2019). A sketch
 * accepts values in any order, and sketches merge. A bin counts values within 2 % of each other; a
 * value nearer to zero than `ZERO_BELOW` counts as zero. Between `ZERO_BELOW` and the largest
 * plausible value (event-time.ts) there are at most 3,200 bins for each sign. The library's sketch
 * with a limit of bins is not used: it counts some values twice.
 */
export type Sketch = DDSketch

const RELATIVE_ACCURACY = 0.01
const ZERO_BELOW = 1e-12
const BIN_BYTES = 8

export function emptySketch(): Sketch {
  const sketch = new DDSketch({ relativeAccuracy: RELATIVE_ACCURACY })
  sketch.mapping.minPossible = ZERO_BELOW
  return sketch
}

/** Adds all values of `other` to a sketch. The library's own merge omits values below zero. */
export function mergeInto(sketch: Sketch, other: Sketch): void {
  const bins = binsOf(other)
  for (const { sign, key, count } of bins) addBin(sketch, sign, key, count)
}

/** The value at a quantile from 0 to 1; null for an empty sketch. */
export function quantile(sketch: Sketch, fraction: number): number | null {
  return sketch.count === 0 ? null : sketch.getValueAtQuantile(fraction)
}

type Bin = { sign: -1 | 0 | 1; key: number; count: number }

function binsOf({ store, negativeStore, zeroCount }: Sketch): Bin[] {
  const binsOfSign = (sign: -1 | 1, { bins, offset }: Sketch['store']) =>
    bins.flatMap((count, index) => (count > 0 ? [{ sign, key: index + offset, count }] : []))
  const zero: Bin[] = zeroCount > 0 ? [{ sign: 0, key: 0, count: zeroCount }] : []
  return [...binsOfSign(1, store), ...binsOfSign(-1, negativeStore), ...zero]
}

function addBin(sketch: Sketch, sign: Bin['sign'], key: number, count: number): void {
  if (sign === 0) sketch.zeroCount += count
  else (sign > 0 ? sketch.store : sketch.negativeStore).add(key, count)
  sketch.count += count
}

/** Packs a sketch: 8 bytes a bin (sign, key, count). */
export function packSketch(sketch: Sketch): Buffer {
  const bins = binsOf(sketch)
  const packed = Buffer.allocUnsafe(bins.length * BIN_BYTES)
  for (const [index, { sign, key, count }] of bins.entries()) {
    packed.writeInt8(sign, index * BIN_BYTES)
    packed.writeIntLE(key, index * BIN_BYTES + 1, 3)
    packed.writeUInt32LE(count, index * BIN_BYTES + 4)
  }
  return packed
}

export function unpackSketch(packed: Buffer): Sketch {
  const sketch = emptySketch()
  for (let position = 0; position < packed.length; position += BIN_BYTES) {
    const sign = packed.readInt8(position) as Bin['sign']
    addBin(sketch, sign, packed.readIntLE(position + 1, 3), packed.readUInt32LE(position + 4))
  }
  return sketch
}
