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

const compare = (a: string, b: string) => Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)))
/** Part by part, by code point; the shorter list first. */
function compareParts(a: readonly string[], b: readonly string[]): number {
  for (const [index, part] of a.entries()) {
    if (b[index] === undefined) return 1
    const order = compare(part, b[index])
    if (order !== 0) return order
  }
  return a.length < b.length ? -1 : 0
}

describe('a key', () => {
  it('gives its parts back, and contains no NUL', () => {
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
      fc.property(parts, parts, (a, b) => {
        expect(compare(keyOf(...a), keyOf(...b))).toBe(compareParts(a, b))
      }),
    )
  })

  it('is in the range of its prefix, and no other key is', () => {
    fc.assert(
      fc.property(parts, parts, fc.integer({ min: 1, max: 3 }), (all, others, length) => {
        for (const prefix of [all.slice(0, length), others.slice(0, length)]) {
          const { from, to } = keysWithPrefix(...prefix)
          const key = keyOf(...all)
          const isWithin = compare(key, from) >= 0 && compare(key, to) < 0
          const begins =
            prefix.every((part, index) => part === all[index]) && all.length > prefix.length
          expect(isWithin).toBe(begins)
        }
      }),
    )
  })

  it('sorts times as parts', () => {
    const time = fc.integer({ min: 0, max: 36 ** 9 - 1 })
    fc.assert(
      fc.property(time, time, (a, b) => {
        expect(timeOfKeyPart(timeKeyPart(a))).toBe(a)
        expect(compare(timeKeyPart(a), timeKeyPart(b))).toBe(Math.sign(a - b))
      }),
    )
  })
})
