import { describe, expect, it } from 'vitest'
import {
  deadLetterJson,
  deadLetterLine,
  deadLetterPage,
} from '../../../gateway/inspect/dead-letter-text.ts'
import type { StoredDeadLetter } from '../../../gateway/store/notes/dead-letters.ts'

const named = { id: 'gateway/aa/7/12', run: 7 }
const letter = (payload: Buffer, more: object = {}) =>
  ({
    ...{ ...named, number: 12, at: 1_700_000_000_000, state: 'open', clock: 'SYNCED' },
    ...{ reason: 'no JSON', place: '4', topic: 'a/\u001b[2J', payload },
    ...more,
  }) as StoredDeadLetter

describe('a dead letter', () => {
  it('is one line in a list', () => {
    const payload = Buffer.from('{"a"')
    expect(deadLetterLine(letter(payload))).toBe(
      '#12  2023-11-14T22:13:20.000Z  a/\\u{1b}[2J  no JSON (at 4)  4 bytes',
    )
    const retried = { place: '', state: 'retried', sequence: 9 }
    expect(deadLetterLine(letter(payload, retried))).toMatch(
      /no JSON {2}4 bytes {2}retried: event #9$/,
    )
  })

  it('is shown with its original bytes, escaped for a terminal', () => {
    const payload = Buffer.from('7b0a1b5b41c3a9ff00112233445566778899', 'hex')
    expect(deadLetterPage(letter(payload)).slice(4)).toEqual([
      'clock     SYNCED',
      'topic     a/\\u{1b}[2J',
      'reason    no JSON',
      'place     4',
      'size      18 bytes',
      'as text',
      '  {',
      '  \\u{1b}[Aé�\\u{0}\\u{11}"3DUfw��',
      'in hex',
      '  00000000  7b 0a 1b 5b 41 c3 a9 ff 00 11 22 33 44 55 66 77  |{..[A....."3DUfw|',
      `  00000010  88 99${' '.repeat(42)}  |..|`,
    ])
  })

  it('is one JSON object', () => {
    expect(JSON.parse(deadLetterJson(letter(Buffer.from([0, 255]))))).toEqual({
      ...{ ...named, number: 12, at: 1_700_000_000_000, state: 'open', clock: 'SYNCED' },
      ...{ reason: 'no JSON', place: '4', topic: 'a/\u001b[2J', size: 2, payload: 'AP8=' },
    })
  })

  it('whose bytes were deleted says so', () => {
    const bare = { payload: null, size: 3000, droppedAt: 'outbox.bounds.deadLetterBytes' }
    const withoutBytes = letter(Buffer.alloc(0), bare)
    const size = '3000 bytes, deleted at outbox.bounds.deadLetterBytes'
    expect(deadLetterLine(withoutBytes).endsWith(`no JSON (at 4)  ${size}`)).toBe(true)
    expect(deadLetterPage(withoutBytes).slice(-2)).toEqual([
      `size      ${size}`,
      'its bytes were deleted: nothing to show or to decode',
    ])
    const { droppedAt: letGoAt, ...rest } = { ...withoutBytes, ...bare }
    expect(JSON.parse(deadLetterJson(withoutBytes))).toEqual({ ...rest, letGoAt })
  })

  it('that is damaged says so', () => {
    const damaged = {
      ...named,
      number: 3,
      at: 0,
      state: 'open',
      damaged: 'note checksum differs',
    } as const
    const line = '#3  1970-01-01T00:00:00.000Z  cannot be read: note checksum differs'
    expect(deadLetterLine(damaged)).toBe(line)
    expect(deadLetterPage(damaged)).toContain('it cannot be read: note checksum differs')
    expect(JSON.parse(deadLetterJson(damaged))).toEqual(damaged)
  })
})
