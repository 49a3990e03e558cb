import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  decodeNoteBody,
  encodeNoteBody,
  type Note,
  UNKNOWN_WRITER,
} from '../../../../gateway/store/notes/note-kinds.ts'
import { temporary } from '../fixture.ts'
import { program, readNotes } from '../released/today.ts'
import { type StoredNote, writeNotes } from '../released/work.ts'

const released = new URL('../released/016d944/notes.json', import.meta.url)
const releasedNotes: StoredNote[] = JSON.parse(readFileSync(released, 'utf8'))

describe('the bodies of stored notes', () => {
  it('are those that version 016d944 wrote for the same work, and name the run and the gateway', () => {
    using place = temporary()
    const notes = writeNotes(program, place.dir, readNotes)
    const RUN = /"run":(EPOCH \d),?/
    const asReleased = ({ file, body, ...note }: StoredNote) => {
      const withoutRun = body.replace(RUN, '').replace(/,"deadletterRun":[^,}]+/, '')
      // The notes of the bridge named no gateway.
      const asBefore = file === 'inbox' ? withoutRun.replace('"speaker":"gw",', '') : withoutRun
      return { file, ...note, body: asBefore }
    }
    expect(notes.map(asReleased)).toEqual(releasedNotes)
    const runs = notes.map(({ file, kind, body }) => [file, kind, body.match(RUN)?.[1]])
    expect(runs.filter(([, , run]) => run === undefined)).toEqual([])
    // A salvage writes in the name of the run that begins with it, and a bridge in the name of the
    // run whose outbox it reads.
    const epochs = notes.filter(({ kind }) => kind === 'epoch')
    expect(epochs.map(({ body }) => body.match(/"epoch":(EPOCH \d),"first/)?.[1])).toEqual(
      epochs.map(({ body }) => body.match(RUN)?.[1]),
    )
    const salvage = runs.findIndex(([, kind]) => kind === 'salvage')
    expect(runs[salvage]![2]).toBe(runs[salvage + 1]![2])
  })

  it('are the same after decoding and encoding', () => {
    for (const { kind, body } of releasedNotes) {
      // A dead letter without payload begins with another field, by which it is recognised.
      if (body.startsWith('{"dropped":')) continue
      // The names that replace random epochs are not valid JSON.
      const text = body.replaceAll(/EPOCH (\d)/g, '$1')
      const note = decodeNoteBody({ kind, body: Buffer.from(text) })
      expect(encodeNoteBody(note, UNKNOWN_WRITER).toString()).toBe(text)
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
    expect(encodeNoteBody(note, UNKNOWN_WRITER).toString()).toBe(body)
  })

  it('begin with the gateway and run of the note, or else of the writer', () => {
    const writer = { gateway: 'gw', run: 7 }
    const note: Note = { kind: 'dropped', content: { deadletter: 1 } }
    const bodyOf = (note: Note) => encodeNoteBody(note, writer).toString()
    expect(bodyOf(note)).toBe('{"speaker":"gw","run":7,"deadletter":1}')
    const former: Note = { ...note, gateway: 'former', run: 6 }
    expect(bodyOf(former)).toBe('{"speaker":"former","run":6,"deadletter":1}')
    const body = encodeNoteBody(former, UNKNOWN_WRITER)
    expect(decodeNoteBody({ kind: 'dropped', body })).toEqual(former)
  })
})
