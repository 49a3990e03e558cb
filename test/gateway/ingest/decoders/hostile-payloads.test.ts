import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaults } from '../../../../config/config.ts'
import { decodeJson } from '../../../../gateway/ingest/decoders/json.ts'
import { createFateDecision } from '../../../../gateway/ingest/fate.ts'
import { countSteps, superLinearExpressions } from './step-counter.ts'

const root = fileURLToPath(new URL('../../../..', import.meta.url))
const { ingest } = defaults
const decode = (text: string) => decodeJson(Buffer.from(text), ingest)

/** Texts that a decoder may read more than once, as functions of their number of characters. */
const shapes: Record<string, (size: number) => string> = {
  zeros: size => `1${'0'.repeat(size)}`,
  'zeros and an exponent': size => `1${'0'.repeat(size)}e-${size}`,
  'zeros in the middle': size => `1${'0'.repeat(size)}1e-${size}`,
  'zeros after the point': size => `0.${'0'.repeat(size)}1`,
  'zeros and digits by turns': size => `${'10'.repeat(size / 2)}1e-3`,
  nines: size => '9'.repeat(size),
  'a long exponent': size => `1e${'0'.repeat(size)}1`,
  'a negative exponent': size => `1e-${'1'.repeat(size)}`,
  backslashes: size => `"${'\\\\'.repeat(size / 2)}"`,
  'backslashes without an end': size => `"${'\\'.repeat(size)}`,
  'escaped quotes': size => `"${'\\"'.repeat(size / 2)}"`,
  'backslashes before quotes': size => `{"a":[${'"\\\\",'.repeat(size / 5)}0]}`,
  quotes: size => '"'.repeat(size),
  braces: size => '{'.repeat(size),
  brackets: size => '['.repeat(size),
  'nested keys': size => '{"a":'.repeat(size / 5),
  colons: size => ':'.repeat(size),
  'spaces before': size => `${' '.repeat(size)}1`,
  'spaces after a key': size => `{"a"${' '.repeat(size)}:1,"a":2}`,
  'spaces after each key': size => `{${'"a"       :1,'.repeat(size / 13)}"a":1}`,
  'spaces after a text': size => `{"a":"b"${' '.repeat(size)},"a":1}`,
  'equal keys': size => `{${'"a":1,'.repeat(size / 6)}"a":1}`,
  'many keys': size => `{${Array.from({ length: size / 8 }, (_, n) => `"k${n}":1`).join()}}`,
  'numbers as keys': size => `{${Array.from({ length: size / 8 }, (_, n) => `"${n}":1`).join()}}`,
  'a long key': size => `{"${'k'.repeat(size)}":1}`,
  'dots in keys': size => `{"a.b":{${'"c.d":1,'.repeat(size / 8)}"e":1}}`,
  'a list of numbers': size => `{"a":[${'1,'.repeat(size / 2)}1]}`,
  'a list of long numbers': size => `{"a":[${`1${'0'.repeat(998)}e-3,`.repeat(size / 1003)}1]}`,
  'a long text': size => `"${'x'.repeat(size)}"`,
  'a text of surrogates': size => `"${'\\ud83d\\ude00'.repeat(size / 12)}"`,
}
const SIZES = [8000, 32_000, 128_000]

/**
 * Each function of the decoder reads each character at most a few times. Numbers of up to 1,000
 * characters are read a few times more.
 */
const STEPS_PER_CHARACTER = 16
const STEPS_MORE = 20_000

describe('hostile payloads', () => {
  it.each(Object.entries(shapes))('of %s are decoded in linear time', (_, textOf) => {
    for (const size of SIZES) {
      const text = textOf(size)
      const steps = countSteps(() => decode(text))
      expect(steps).toBeLessThan(STEPS_PER_CHARACTER * text.length + STEPS_MORE)
    }
  })

  it('of any composition are decoded in linear time', () => {
    const fragment = fc.constantFrom(
      ...['0', '1', '9', '.', 'e', 'E', '-', '+', '\\', '\\\\', '"', '\\"', '{', '}', '[', ']'],
      ...[':', ',', ' ', '\t', '"a":', '"a" :', '{"a":', '\\u0022', '\ud83d\ude00', 'null', 'true'],
    )
    const run = fc.tuple(fragment, fc.integer({ min: 1, max: 4000 }))
    const payload = fc
      .tuple(fc.array(run, { maxLength: 12 }), fc.boolean())
      .map(([runs, isWrapped]) => {
        const text = runs.map(([part, times]) => part.repeat(times)).join('')
        return isWrapped ? `{"a":${text}}` : text
      })
    fc.assert(
      fc.property(payload, text => {
        const steps = countSteps(() => decode(text))
        expect(steps).toBeLessThan(STEPS_PER_CHARACTER * text.length + STEPS_MORE)
      }),
      { numRuns: 300, seed: 20_261_130 },
    )
  })

  it('get their fate in linear time, with a time and a trace context', () => {
    const route = { topic: '{site}/{zone}/{device}', format: 'json', lane: 'standard' } as const
    for (const unit of ['iso', 'ms'] as const) {
      const routes = [{ ...route, time: { field: 't', unit } }]
      const fateOf = createFateDecision({ ...ingest, routes })
      const times = [
        '1'.repeat(60_000),
        `2026-01-01T00:00:00.${'0'.repeat(60_000)}Z`,
        ' '.repeat(9),
      ]
      for (const time of times) {
        const text = JSON.stringify({ t: time, traceparent: `00-${'a'.repeat(60_000)}` })
        const message = { topic: 'a/b/c', payload: Buffer.from(text), receivedAt: 1 } as const
        const steps = countSteps(() => fateOf({ ...message, clock: 'SYNCED' }))
        expect(steps).toBeLessThan(STEPS_PER_CHARACTER * text.length + STEPS_MORE)
      }
    }
  })

  it('on hostile topics get their fate in linear time', () => {
    const fateOf = createFateDecision(ingest)
    const levels = ['/', 'building/', '{', '+', '\u0001/', 'a']
    for (const level of levels) {
      const topic = level.repeat(60_000 / level.length)
      const message = { topic, payload: Buffer.from('1'), receivedAt: 1, clock: 'SYNCED' } as const
      const steps = countSteps(() => fateOf(message))
      expect(steps).toBeLessThan(STEPS_PER_CHARACTER * topic.length + STEPS_MORE)
    }
  })
})

describe('a number of more than 1,000 characters', () => {
  it.each([
    ['an integer', '9'.repeat(1001)],
    ['zeros', `1${'0'.repeat(1000)}`],
    ['zeros with an exponent', `1${'0'.repeat(50_000)}e-50000`],
    ['a fraction', `0.${'3'.repeat(1000)}`],
    ['a small fraction', `0.${'0'.repeat(1000)}1`],
    ['a long exponent', `1e${'0'.repeat(1000)}1`],
    ['out of range', `1${'0'.repeat(1000)}e400`],
  ])('stays a text: %s', (_, text) => {
    expect(decode(text)).toMatchObject([{ metric: 'value', number: null, text }])
    expect(decode(`{"a":1.5,"b":[${text}]}`)).toMatchObject([{ number: 1.5 }, { text }])
  })

  it('is not a number of 1,000 characters', () => {
    expect(decode(`1.5${'0'.repeat(997)}`)).toMatchObject([{ number: 1.5 }])
  })
})

describe('the code that reads payloads and topics', () => {
  it('has only regular expressions that read a text once', () => {
    const folders = ['gateway/ingest', 'gateway/ingest/decoders', 'gateway/ingest/time']
    const inFolders = folders.flatMap(folder =>
      readdirSync(join(root, folder))
        .filter(name => name.endsWith('.ts'))
        .map(name => join(folder, name)),
    )
    const wrong = [...inFolders, 'config/syntax/routes.ts'].flatMap(file => {
      const found = superLinearExpressions(readFileSync(join(root, file), 'utf8'))
      return found.map(pattern => `${file}: ${pattern}`)
    })
    expect(wrong).toEqual([])
  })

  it('is checked by a search that finds such expressions', () => {
    const source = [
      'const a = text.replace(/0+$/, "")',
      'const b = /^(a+)+$/.test(text)',
      'const c = /^-?\\d+$/.test(text)',
      'const d = /[+#]/.exec(level)',
      'const e = / {2,}x/',
    ].join('\n')
    expect(superLinearExpressions(source)).toEqual(['0+$', '^(a+)+$', ' {2,}x'])
  })
})
