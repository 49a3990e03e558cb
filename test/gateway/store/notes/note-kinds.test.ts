import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  decodeNoteBody,
  encodeNoteBody,
  type Note,
} from '../../../../gateway/store/notes/note-kinds.ts'
import { temporary } from '../fixture.ts'
import { program, readNotes } from '../released/today.ts'
import { type StoredNote, writeNotes } from '../released/work.ts'

const released = new URL('../released/016d944/notes.json', import.meta.url)
const releasedNotes: StoredNote[] = JSON.parse(readFileSync(released, 'utf8'))

describe('the bodies of stored notes', () => {
  it('are byte for byte those that version 016d944 wrote for the same work', () => {
    using place = temporary()
    expect(writeNotes(program, place.dir, readNotes)).toEqual(releasedNotes)
  })

  it('are the same after decoding and encoding', () => {
    for (const { kind, body } of releasedNotes) {
      // A dead letter without payload begins with another field, by which it is recognised.
      if (body.startsWith('{"dropped":')) continue
      // The names that replace random epochs are not valid JSON.
      const text = body.replaceAll(/EPOCH (\d)/g, '$1')
      const note = decodeNoteBody({ kind, body: Buffer.from(text) })
      expect(encodeNoteBody(note, null).toString()).toBe(text)
    }
  })

  const store = 'aa'
  const span = { from: 1, to: 2 }
  const others: [note: Note, body: string][] = [
    [
      { kind: 'clock', content: { epoch: 5, ...span, offsetMs: -7 } },
      '{"epoch":5,"from":1,"to":2,"offsetMs":-7}',
    ],
    [
      {
        kind: 'rejected note',
        content: { store, origin: 'outbox', sequence: 3, kind: 'heads', reason: 'too large' },
      },
      '{"store":"aa","origin":"outbox","sequence":3,"kind":"heads","reason":"too large"}',
    ],
    [
      { kind: 'jump', content: { store, origin: 'inbox', notes: span, reason: 'gone' } },
      '{"store":"aa","origin":"inbox","notes":{"from":1,"to":2},"reason":"gone"}',
    ],
    [
      { kind: 'tombstone', content: { count: 0, reason: 'r', means: [] } },
      '{"count":0,"reason":"r","means":[]}',
    ],
  ]
  it.each(others)('hold the fields of a note in their order (%j)', (note, body) => {
    expect(encodeNoteBody(note, null).toString()).toBe(body)
  })

  it('begin with the gateway: that of the note, or else the current one', () => {
    const note: Note = { kind: 'dropped', content: { deadletter: 1 } }
    expect(encodeNoteBody(note, 'gw').toString()).toBe('{"speaker":"gw","deadletter":1}')
    const former: Note = { ...note, gateway: 'former' }
    expect(encodeNoteBody(former, 'gw').toString()).toBe('{"speaker":"former","deadletter":1}')
    expect(decodeNoteBody({ kind: 'dropped', body: encodeNoteBody(former, null) })).toEqual(former)
  })
})
