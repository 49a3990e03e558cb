import { describe, expect, it } from 'vitest'
import { decodeNote } from '../../../../cloud-bridge/ledger/notes/notes.ts'

const facts = { gateway: 'gw', store: 'aa', origin: 'outbox', sequence: 1, at: 5 }
const read = (note: object) => decodeNote(Buffer.from(JSON.stringify(note)), 9)

describe('a value of the ledger topic', () => {
  it.each([
    ['no JSON', Buffer.from('C301', 'hex')],
    ['no group', Buffer.from('[1]')],
    ['no content', Buffer.from(JSON.stringify({ ...facts, kind: 'heads' }))],
    ['no gateway', Buffer.from(JSON.stringify({ ...facts, gateway: 1, kind: 'x', content: {} }))],
    [
      'heads without zones',
      Buffer.from(JSON.stringify({ ...facts, kind: 'heads', content: { epoch: 1 } })),
    ],
    [
      'a range upside down',
      Buffer.from(JSON.stringify({ ...facts, kind: 'jump', content: { from: 2, to: 1 } })),
    ],
  ])('that is %s is not ours', (_, value) => {
    expect(decodeNote(value, 9)).toBeNull()
  })

  it('of a kind that the ledger needs not know is ours', () => {
    const inbox = { what: 'inbox', reason: 'malformed', file: 'inbox.db.damaged' }
    expect(read({ ...facts, kind: 'quarantine', content: inbox })).toMatchObject({ kind: 'other' })
    expect(read({ ...facts, kind: 'clock offset', content: { offsetMs: 3 } })).toEqual({
      ...{ gateway: 'gw', file: 'aa', origin: 'outbox', store: 'aa', run: null, sequence: 1 },
      ...{ at: 5, appendTimeMs: 9, isReadable: true, kind: 'other' },
    })
  })

  it('tells how far a clock was off', () => {
    const content = { epoch: 7, from: 3, to: 9, offsetMs: -5 }
    expect(read({ ...facts, kind: 'clock', content })).toMatchObject({ kind: 'clock', ...content })
    const none = { ...content, offsetMs: null }
    expect(read({ ...facts, kind: 'clock', content: none })).toBeNull()
  })

  it('that the bridge wrote tells of the outbox which its content names', () => {
    const content = { store: 'cc', epoch: 7, sequence: 9, zone: 'z', zoneSequence: 2, reason: 'r' }
    expect(read({ ...facts, origin: 'inbox', kind: 'rejected', content })).toMatchObject({
      store: 'cc',
      explanation: { from: 9, to: 9, epoch: 7, zones: [{ zone: 'z', first: 2, count: 1 }] },
    })
  })
})
