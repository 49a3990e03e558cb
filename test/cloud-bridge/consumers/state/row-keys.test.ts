import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  keyOf,
  keysWithPrefix,
  partsOf,
  timeKeyPart,
  timeOfKeyPart,
} from '../../../../cloud-bridge/consumers/state/row-keys.ts'

const character = fc.oneof(
  fc.constantFrom('\u0000', '\u0001', '\u0002', '\u0003', '0', '1', '\uffff', '😀'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
)
const part = fc.string({ unit: character, maxLength: 4 }).map(text => text.toWellFormed())
const parts = fc.array(part, { minLength: 1, maxLength: 4 })

const compare = (one: string, other: string) =>
  Math.sign(Buffer.compare(Buffer.from(one), Buffer.from(other)))
/** Part by part, by code point; what ends first comes first. */
function compareParts(one: readonly string[], other: readonly string[]): number {
  for (const [at, own] of one.entries()) {
    if (other[at] === undefined) return 1
    const order = compare(own, other[at])
    if (order !== 0) return order
  }
  return one.length < other.length ? -1 : 0
}

describe('a key', () => {
  it('gives its parts back, and holds no NUL', () => {
    fc.assert(
      fc.property(parts, all => {
        const key = keyOf(...all)
        expect(partsOf(key)).toEqual(all)
        expect(key).not.toContain('\u0000')
      }),
    )
  })

  it('sorts part by part', () => {
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        expect(compare(keyOf(...one), keyOf(...other))).toBe(compareParts(one, other))
      }),
    )
  })

  it('is within what it begins with, and nothing else is', () => {
    fc.assert(
      fc.property(parts, parts, fc.integer({ min: 1, max: 3 }), (all, others, length) => {
        for (const prefix of [all.slice(0, length), others.slice(0, length)]) {
          const { from, to } = keysWithPrefix(...prefix)
          const key = keyOf(...all)
          const isWithin = compare(key, from) >= 0 && compare(key, to) < 0
          const begins = prefix.every((one, at) => one === all[at]) && all.length > prefix.length
          expect(isWithin).toBe(begins)
        }
      }),
    )
  })

  it('sorts times as parts', () => {
    const time = fc.integer({ min: 0, max: 36 ** 9 - 1 })
    fc.assert(
      fc.property(time, time, (one, other) => {
        expect(timeOfKeyPart(timeKeyPart(one))).toBe(one)
        expect(compare(timeKeyPart(one), timeKeyPart(other))).toBe(Math.sign(one - other))
      }),
    )
  })
})
