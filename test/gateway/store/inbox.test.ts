import { describe, expect, it, vi } from 'vitest'
import { LockedError } from '../../../gateway/store/file/lock.ts'
import { readRows } from '../../../gateway/store/file/readonly-database.ts'
import { type Inbox, openInbox } from '../../../gateway/store/inbox.ts'
import { copyStore, temporary } from './fixture.ts'

const store = Buffer.alloc(16, 7)
const other = Buffer.alloc(16, 8)
const range = {
  ...{ store, next: 1, end: null, topic: 'sluice.readings', partitions: 6, zones: null },
  reason: 'first contact',
}
/** Longer than any test: nothing is saved by time. */
const NEVER_MS = 1_000_000
const PATIENCE = { timeout: 20_000, interval: 5 }

/** The inbox as another process finds it now, were this one killed. */
function killed<T>(file: string, look: (inbox: Inbox) => T): T {
  const copy = `${file}k${++copies}`
  copyStore(file, copy)
  const inbox = openInbox({ file: copy, settleMs: NEVER_MS })
  try {
    return look(inbox)
  } finally {
    inbox.close()
  }
}
let copies = 0

describe('the inbox', () => {
  it('keeps ranges of each store apart, in the order in which they were added', () => {
    using place = temporary()
    const file = place.file('deep/inbox.db')
    const inbox = openInbox({ file, settleMs: NEVER_MS })
    const first = inbox.addRange(range)
    const foreign = inbox.addRange({ ...range, store: other })
    const second = inbox.addRange({ ...range, next: 5, end: 9, zones: '["z"]', reason: 'replay' })
    expect(inbox.rangesOf(store)).toEqual([first, second])
    expect(first).toEqual({ ...range, id: first.id })
    expect(killed(file, again => again.rangesOf(other))).toEqual([foreign])
    expect(killed(file, again => again.rangesOf(store))).toEqual([first, second])
    inbox.close()
  })

  it('has positions durable after close', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: NEVER_MS })
    const { id } = inbox.addRange(range)
    inbox.moveRange({ id, next: 10 })
    inbox.moveRange({ id, next: 20 })
    inbox.moveNotes(store, 5)
    expect(inbox.nextNote(store)).toBe(5)
    expect(killed(file, again => again.rangesOf(store)[0]!.next)).toBe(1)
    inbox.close()
    expect(killed(file, again => again.rangesOf(store)[0]!.next)).toBe(20)
    expect(killed(file, again => again.nextNote(store))).toBe(5)
    expect(killed(file, again => again.nextNote(other))).toBe(null)
  })

  it('has positions durable within settleMs, again and again', async () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: 1 })
    const { id } = inbox.addRange(range)
    for (const next of [10, 20]) {
      inbox.moveRange({ id, next })
      inbox.moveNotes(store, next)
      await vi.waitFor(() => {
        expect(killed(file, again => again.rangesOf(store)[0]!.next)).toBe(next)
        expect(killed(file, again => again.nextNote(store))).toBe(next)
      }, PATIENCE)
    }
    inbox.close()
  })

  it('gives ranges with the position they were moved to, saved or not', () => {
    using place = temporary()
    const inbox = openInbox({ file: place.file('inbox.db'), settleMs: NEVER_MS })
    const { id } = inbox.addRange(range)
    inbox.moveRange({ id, next: 10 })
    expect(inbox.rangesOf(store)).toEqual([{ ...range, id, next: 10 }])
    inbox.close()
  })

  it('forgets a closed range when all of it is delivered, as durably as it moves', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: NEVER_MS })
    const open = inbox.addRange(range)
    const { id } = inbox.addRange({ ...range, next: 5, end: 9 })
    inbox.moveRange({ id, next: 10 })
    expect(inbox.rangesOf(store)).toEqual([open])
    expect(killed(file, again => again.rangesOf(store))).toHaveLength(2)
    inbox.close()
    expect(killed(file, again => again.rangesOf(store))).toEqual([open])
    const rows = readRows(file, 'SELECT * FROM ranges')
    expect(rows).toHaveLength(1)
  })

  it('has its own notes and id, durable at once', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: NEVER_MS })
    const rest = { range: 1, store: 'aa', reason: 'a test' }
    const [jump, unreadable] = [
      { kind: 'jump', content: { from: 1, to: 2, ...rest } },
      { kind: 'unreadable', content: { from: 3, to: 4, ...rest } },
    ] as const
    inbox.addNotes([jump])
    inbox.addNotes([unreadable])
    const notes = [
      expect.objectContaining({ sequence: 1, ...jump }),
      expect.objectContaining({ sequence: 2, ...unreadable }),
    ]
    expect(inbox.notesFrom(1)).toEqual(notes)
    expect(inbox.notesFrom(2)).toEqual(notes.slice(1))
    expect(killed(file, again => again.notesFrom(1))).toEqual(notes)
    expect(killed(file, again => again.id)).toEqual(inbox.id)
    inbox.close()
  })

  it('is written by one', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: NEVER_MS })
    expect(() => openInbox({ file, settleMs: NEVER_MS })).toThrow(LockedError)
    inbox.close()
    openInbox({ file, settleMs: NEVER_MS }).close()
  })
})
