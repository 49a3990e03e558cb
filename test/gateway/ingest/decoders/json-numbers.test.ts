import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeJson } from '../../../../gateway/ingest/decoders/json.ts'

const decode = (text: string) =>
  decodeJson(Buffer.from(text), { depthMax: 16, measurementsMax: 1024 })

/**
 * The values that are decoded from three payloads with the number: alone, in a list in an object,
 * and after other numbers.
 */
function readAs(number: string): (number | string | null)[] {
  const texts = [number, `{"a":[{"b":${number}}]}`, `{"x":1.5,"y":-12345678,"a":${number}}`]
  return texts.map(text => {
    const decoded = decode(text)
    if ('reason' in decoded) throw new Error(decoded.reason)
    const { number: value, text: digits } = decoded.at(-1)!
    return value ?? digits
  })
}
const thrice = <T>(value: T) => [value, value, value]

describe('numbers in JSON', () => {
  it.each([
    ['9007199254740991', 9_007_199_254_740_991],
    ['9007199254740992', 9_007_199_254_740_992],
    ['-9007199254740992', -9_007_199_254_740_992],
    ['18446744073709551616', 2 ** 64],
    ['123456789012345', 123_456_789_012_345],
    ['1e22', 1e22],
    ['0.1', 0.1],
    ['-0', -0],
    ['21.399999999999999', 21.4],
    ['21.400000000000002', 21.400_000_000_000_002],
    ['0.1000000000000000055511151231257827', 0.1],
    ['0.10000000000000000000', 0.1],
    ['1234567890.123456700', 1_234_567_890.123_456_7],
    [`0.${'0'.repeat(341)}0`, 0],
    [`0.${'0'.repeat(320)}5`, 5e-321],
    ['1.7976931348623157e308', Number.MAX_VALUE],
    ['5e-324', 5e-324],
  ])('%s is a number', (text, value) => {
    expect(readAs(text)).toEqual(thrice(value))
  })

  it.each([
    '9007199254740993',
    '-9007199254740993',
    '9999999999999999',
    '12345678901234567890',
    '18446744073709551615',
    `1${'0'.repeat(40)}`,
    `-${'9'.repeat(400)}`,
    `1${'0'.repeat(400)}`,
    '12345678901234567.5',
    '1234567890123456.7',
    '1234567890.1234567890123',
    '-0.12345678901234567890',
    '1.23456789012345678e5',
    `0.${'0'.repeat(341)}1`,
    '1e-400',
    '1.7976931348623158e308',
  ])('%s, which a double cannot hold, is kept as text', text => {
    expect(readAs(text)).toEqual(thrice(text))
  })

  it('keeps every integer exactly, as number or as text', () => {
    const integer = fc.oneof(
      fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
      fc.bigInt({ min: 2n ** 53n - 5n, max: 2n ** 53n + 5n }),
      fc.nat(1100).map(exponent => 2n ** BigInt(exponent)),
    )
    fc.assert(
      fc.property(integer, exact => {
        for (const value of readAs(`${exact}`)) {
          if (value === null) throw new Error('the value is gone')
          expect(BigInt(value)).toBe(exact)
          const fits = Number.isFinite(Number(exact)) && BigInt(Number(exact)) === exact
          expect(typeof value).toBe(fits ? 'number' : 'string')
        }
      }),
      { numRuns: 500 },
    )
  })

  it('never maps two numbers of the same length to one double', () => {
    const digits = fc.stringMatching(/^[1-9][0-9]{0,24}$/)
    const point = fc.nat(25)
    fc.assert(
      fc.property(digits, point, (text, at) => {
        const written = (value: bigint) => {
          const padded = `${value}`.padStart(at + 1, '0')
          return `${padded.slice(0, padded.length - at)}.${padded.slice(padded.length - at)}0`
        }
        const last = BigInt(text)
        const [value] = readAs(written(last))
        for (const neighbour of [last - 1n, last + 1n]) {
          const [other] = readAs(written(neighbour))
          if (typeof value === 'number') expect(other).not.toBe(value)
        }
        expect(value).toSatisfy(found => found === Number(written(last)) || found === written(last))
      }),
      { numRuns: 2000 },
    )
  })

  it('keeps every double that a program prints with 1 to 17 digits or exactly', () => {
    const double = fc.double({ noNaN: true, noDefaultInfinity: true })
    fc.assert(
      fc.property(double, value => {
        if (Object.is(value, -0)) return
        for (const text of [String(value), value.toPrecision(17), value.toPrecision(60)]) {
          // Another rule is for integers.
          if (/^-?\d+$/.test(text)) continue
          expect(readAs(text)).toEqual(thrice(value))
        }
      }),
      { numRuns: 1000 },
    )
  })

  it.each(['1e400', '-1e400', '1E+309', '123456789012345678901e300'])(
    '%s makes a dead letter',
    text => {
      expect(decode(text)).toEqual({ reason: 'a number is out of range', place: '' })
      expect(decode(`{"a":{"b":[0,${text}]}}`)).toEqual({
        reason: 'a number is out of range',
        place: 'a.b.1',
      })
    },
  )

  it.each(['NaN', 'Infinity', '-Infinity', '+1', '01', '.5', '5.', '0x10', '1_000', '1e', '-'])(
    '%s is no JSON',
    text => {
      for (const payload of [text, `{"a":${text}}`]) {
        expect(decode(payload)).toMatchObject({ reason: expect.stringMatching(/^not JSON: /) })
      }
    },
  )
})
