import { describe, expect, it } from 'vitest'
import { decodeJson } from '../../../../gateway/ingest/decoders/json.ts'

const decode = (payload: string | Buffer, more = {}) =>
  decodeJson(Buffer.from(payload as string), { depthMax: 4, measurementsMax: 5, ...more })

describe('a payload that cannot be a reading', () => {
  it.each([
    ['', 'the payload is empty', ''],
    [' ', 'not JSON: Unexpected end of JSON input', ''],
    ['[]', 'a list is not a reading', ''],
    ['[1,2]', 'a list is not a reading', ''],
    ['[{"a":1}]', 'a list is not a reading', ''],
    ['{"":1}', 'a key is empty', ''],
    ['{"a":{"":1}}', 'a key is empty', 'a'],
    ['"\\ud800"', 'a text is not valid Unicode', ''],
    ['{"a":["x\\udc00"]}', 'a text is not valid Unicode', 'a.0'],
    ['{"a":{"\\ud83d":1}}', 'a key is not valid Unicode', 'a'],
    ['{"co2\\u200b":1}', 'a key holds the invisible character U+200B', ''],
    ['{"a":{"\u202eco2":1}}', 'a key holds the invisible character U+202E', 'a'],
  ])('%j becomes a dead letter: %s', (payload, reason, place) => {
    expect(decode(payload)).toEqual({ reason, place })
  })

  it.each([
    ...['{', '}', '{"a"}', '{"a":}', '{"a":1,}', '{a:1}', "{'a':1}", '{"a":1}{"b":2}', '{"a":1} x'],
    ...['"x', '"\\"', '"\\x"', '"\t"', 'tru', 'undefined', '// x', '{"a":1]', '{"a":"', '\ufeff{}'],
    ...['\u00a0{}', '"\\u12"', '{"a":1,"a', '[', ']', ':', ',', '\\', '"', '{"a":"\\'],
  ])('%j is no JSON', payload => {
    expect(decode(payload)).toMatchObject({ reason: expect.stringMatching(/^not JSON: /) })
  })

  it.each(['ff', 'c3', '22c328', '22eda080', '2222ff', 'c0af', 'f8888080'])(
    'bytes %s are not valid UTF-8',
    hex => {
      const payload = Buffer.from(hex, 'hex')
      expect(decode(payload)).toEqual({ reason: 'not valid UTF-8', place: '' })
    },
  )

  it.each([
    ['{"a":1,"a":2}', 'a'],
    ['{"a":1,"a":1}', 'a'],
    ['{"b":{"c":[{"a":1,"a":2}]}}', 'a'],
    ['{"a":1,"b":{"a":2},"b":3}', 'b'],
    ['{"a":1 , "b" : 2,\n"a"\t: 3}', 'a'],
    ['{"x":"a","y":"b","a":"x","a":""}', 'a'],
    ['{"a":9007199254740993,"a":2}', 'a'],
    ['{"\\u0061":1,"\\u0061":2}', '\\u0061'],
    ['{"\\u0061":1,"a":2}', ''],
    ['{"a":1,"\\u0061":2}', ''],
    ['{"a.b":1,"a":{"b":2}}', 'a.b'],
    ['{"a":{"b":2},"a.b":1}', 'a.b'],
    ['{"a":[1],"a.0":2}', 'a.0'],
    ['{"a":{"b.c":1},"a.b":{"c":2}}', 'a.b.c'],
    ['{"a\\u002eb":1,"a":{"b":2}}', 'a.b'],
    ['{"a\\u002Eb":1,"a":{"b":2}}', 'a.b'],
    ['{"a.b":{},"a":{"b":[]}}', 'a.b'],
    ['{"x":1.5,"a.b":1,"y":2.5,"a":{"b":2}}', 'a.b'],
  ])('%s has a key twice', (payload, place) => {
    expect(decode(payload)).toEqual({ reason: 'a key occurs twice', place })
  })

  it('may have one key in several objects', () => {
    expect(decode('{"a":{"x":1},"b":{"x":2},"x":3}')).toHaveLength(3)
    expect(decode('{"l":[{"x":1},{"x":2}],"a.b":1,"a":{"c":1}}')).toHaveLength(4)
  })

  it.each(['__proto__', 'constructor', 'prototype'])(
    'the key %s makes a dead letter at any depth',
    key => {
      const reason = `the key ${key} is not allowed`
      expect(decode(`{"${key}":1}`)).toEqual({ reason, place: '' })
      expect(decode(`{"${key}":{"polluted":true}}`)).toEqual({ reason, place: '' })
      expect(decode(`{"a":[0,{"${key}":null}]}`)).toEqual({ reason, place: 'a.1' })
      expect(decode(`{"n":9007199254740993,"a":{"${key}":5}}`)).toEqual({ reason, place: 'a' })
      const escaped = `\\u00${key.charCodeAt(0).toString(16)}${key.slice(1)}`
      expect(decode(`{"a":{"${escaped}":{"x":1}}}`)).toEqual({ reason, place: 'a' })
      expect({}).not.toHaveProperty('polluted')
    },
  )

  it('may be nested as deep as allowed and no deeper', () => {
    expect(decode('{"a":{"b":{"c":{"d":1}}}}')).toHaveLength(1)
    expect(decode('{"a":[[[1]]]}')).toHaveLength(1)
    expect(decode('{"a":{"b":{"c":{"d":{}}}}}')).toEqual({
      reason: 'nested deeper than 4',
      place: 'depth 5',
    })
    expect(decode('{"a":[[[[1]]]]}')).toMatchObject({ reason: 'nested deeper than 4' })
    expect(decode('[[[[[1]]]]]')).toMatchObject({ reason: 'nested deeper than 4' })
  })

  it('may be as deep as its bytes allow, and is refused without a stack overflow', () => {
    for (const [open, close] of ['[]', '{}', [`{"a":`, '}']] as const) {
      const payload = open!.repeat(100_000) + close!.repeat(100_000)
      expect(decode(payload)).toMatchObject({ reason: 'nested deeper than 4' })
      expect(decode(open!.repeat(100_000), { depthMax: 128 })).toMatchObject({
        reason: 'nested deeper than 128',
      })
    }
  })

  it('may not multiply its bytes by repeating long names', () => {
    const nested = (name: string, count: number) => {
      const inner = Array.from({ length: count }, (_, n) => `"${n}":1`)
      return `{"${name}":{${inner.join()}}}`
    }
    expect(decode(nested('k'.repeat(510), 3))).toHaveLength(3)
    expect(decode(nested('k'.repeat(511), 3))).toEqual({
      reason: 'a name is longer than 512 characters',
      place: 'k'.repeat(64),
    })
    expect(decode(`{"${'k'.repeat(513)}":1}`)).toMatchObject({ place: 'k'.repeat(64) })
  })

  it('is not deep for the braces in its texts', () => {
    expect(decode('{"a":"{{{{{{[[[[[["}')).toHaveLength(1)
  })

  it('may hold as many measurements as allowed and no more', () => {
    const object = (count: number) =>
      JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, n])))
    expect(decode(object(5))).toHaveLength(5)
    expect(decode(object(6))).toEqual({ reason: 'more than 5 measurements', place: 'k5' })
    expect(decode('{"a":[1,2,3,4,5]}')).toHaveLength(5)
    expect(decode('{"a":[1,2,3,4,5,6]}')).toEqual({
      reason: 'more than 5 measurements',
      place: 'a.5',
    })
  })
})
