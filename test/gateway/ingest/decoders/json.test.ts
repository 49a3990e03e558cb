import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Measurement } from '../../../../config/event/sensor-reading.ts'
import { invisibleCharacter } from '../../../../config/syntax/invisible-characters.ts'
import { decodeJson } from '../../../../gateway/ingest/decoders/json.ts'

const limits = { depthMax: 16, measurementsMax: 1024 }
const decode = (text: string | Buffer, more = {}) =>
  decodeJson(Buffer.from(text as string), { ...limits, ...more })

type Value = number | boolean | string | null

/** The metrics and their values, in order; throws the reason when decoding fails. */
function valuesOf(text: string | Buffer): [string, Value][] {
  const decoded = decode(text)
  if ('reason' in decoded) throw new Error(`${decoded.reason} at ${decoded.place}`)
  return decoded.map(({ metric, number, flag, text: own, unit }) => {
    const set = [number, flag, own].filter(value => value !== null)
    expect(set.length).toBeLessThan(2)
    expect(unit).toBe(null)
    return [metric, set[0] ?? null]
  })
}

const measurement = (metric: string, value: Partial<Measurement>): Measurement => ({
  ...{ metric, number: null, flag: null, text: null, unit: null },
  ...value,
})

/**
 * Whether JSON.stringify writes the number exactly. It writes -0 as 0, and large integers with more
 * digits than a double can represent.
 */
const isWrittenExactly = (value: number) =>
  !Object.is(value, -0) && (!Number.isInteger(value) || Number.isSafeInteger(value))

describe('a JSON payload', () => {
  it('is an object of numbers, booleans, texts and nulls', () => {
    expect(decode(' {"n":-1.5e2, "b":true ,"f":false,"t":"é\\n","z":null}\r\n')).toEqual([
      measurement('n', { number: -150 }),
      measurement('b', { flag: true }),
      measurement('f', { flag: false }),
      measurement('t', { text: 'é\n' }),
      measurement('z', {}),
    ])
  })

  it('joins nested keys with dots, and lists with their positions', () => {
    expect(valuesOf('{"a":{"b":{"c":1},"d":[2,[3,{"e":4}]]},"f":[null,"x"]}')).toEqual([
      ['a.b.c', 1],
      ['a.d.0', 2],
      ['a.d.1.0', 3],
      ['a.d.1.1.e', 4],
      ['f.0', null],
      ['f.1', 'x'],
    ])
  })

  it.each([
    ['5', 5],
    ['-0.5', -0.5],
    [' true\n', true],
    ['"x"', 'x'],
    ['""', ''],
    ['null', null],
    ['9007199254740993', '9007199254740993'],
  ])('may be the bare value %s', (text, value) => {
    expect(valuesOf(text)).toEqual([['value', value]])
  })

  it('keeps empty objects and lists as nulls, and an empty payload object as no measurements', () => {
    expect(valuesOf('{"a":{},"b":[],"c":[[],{}]}')).toEqual(
      ['a', 'b', 'c.0', 'c.1'].map(metric => [metric, null]),
    )
    expect(valuesOf('{}')).toEqual([])
  })

  it('keeps keys as they are', () => {
    expect(valuesOf('{"a b":1,"\\u00e9":2,"é2":3," ":4,"a.b":5,"\\"":6,"0":7}').sort()).toEqual(
      [
        ['a b', 1],
        ['é', 2],
        ['é2', 3],
        [' ', 4],
        ['a.b', 5],
        ['"', 6],
        ['0', 7],
      ].sort(),
    )
  })

  it('accepts keys that every object inherits', () => {
    expect(valuesOf('{"toString":1,"hasOwnProperty":2,"valueOf":3}')).toHaveLength(3)
  })

  it.each([
    ['{"s":"{\\"a\\":1,[:}"}', '{"a":1,[:}'],
    ['{"s":"\\\\"}', '\\'],
    ['{"s":"\\\\\\""}', '\\"'],
    ['{"s":"\\\\\\\\"}', '\\\\'],
    ['{"s":"123456789012345678901234567890"}', '123456789012345678901234567890'],
  ])('is not misled by the text in %s', (text, value) => {
    expect(valuesOf(text)).toEqual([['s', value]])
  })

  it.each(['\\\\', '\\"', 'x\\\\\\"', '\\\\\\\\'])(
    'decodes all keys after the text %j',
    escaped => {
      const decodeAfter = (rest: string) => decode(`{"s":"${escaped}",${rest}}`)
      expect(decodeAfter('"a":12345678901234567890')).toMatchObject([
        {},
        { text: '12345678901234567890' },
      ])
      expect(decodeAfter('"a":1,"a":2')).toEqual({ reason: 'a key occurs twice', place: 'a' })
      expect(decodeAfter(`"a":${'['.repeat(17)}${']'.repeat(17)}`)).toMatchObject({
        place: 'depth 18',
      })
      expect(decodeAfter('"a.b":1,"a":{"b":2}')).toMatchObject({ place: 'a.b' })
    },
  )

  it('accepts huge texts full of quotes, backslashes, colons and braces', () => {
    const huge = '"\\:{}[],.'.repeat(10_000)
    expect(valuesOf(JSON.stringify({ a: huge, b: { c: huge } }))).toEqual([
      ['a', huge],
      ['b.c', huge],
    ])
  })

  it('gives every flat object back', () => {
    const key = fc.string({ unit: 'binary', minLength: 1 })
    const value = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter(isWrittenExactly),
      fc.boolean(),
      fc.string({ unit: 'binary' }),
      fc.constant(null),
    )
    const safe = fc.dictionary(key, value).filter(object => {
      const names = Object.keys(object)
      const isSafe = (name: string) => !['__proto__', 'constructor', 'prototype'].includes(name)
      const isVisible = (name: string) => invisibleCharacter(name) === null
      return names.every(name => isSafe(name) && isVisible(name) && name.isWellFormed())
    })
    fc.assert(
      fc.property(safe, fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
        fc.pre(Object.values(object).every(one => typeof one !== 'string' || one.isWellFormed()))
        expect(valuesOf(JSON.stringify(object, null, indent))).toEqual(Object.entries(object))
      }),
    )
  })

  it('is accepted exactly when JSON.parse accepts it, whatever the bytes', () => {
    const bytes = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'{}[]":,.\\u019-eE+ntfa \n') }),
      fc.json().map(text => text.slice(0, -1)),
    )
    fc.assert(
      fc.property(bytes, text => {
        const decoded = decode(text)
        let parsed: unknown
        try {
          parsed = JSON.parse(text)
        } catch {
          expect(decoded).toMatchObject({ reason: expect.any(String), place: expect.any(String) })
          return
        }
        if ('reason' in decoded) expect(decoded.reason).not.toMatch(/not JSON/)
        else expect(Array.isArray(parsed)).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })
})
