import { describe, expect, it, vi } from 'vitest'
import { LockedError } from '../../../gateway/store/file/lock.ts'
import { readRows } from '../../../gateway/store/file/readonly-database.ts'
import { type Inbox, openInbox } from '../../../gateway/store/inbox.ts'
import { copyStore, temporary } from './fixture.ts'

const store = Buffer.alloc(16, 7)
const otherStore = Buffer.alloc(16, 8)
const range = {
  ...{ store, next: 1, end: null, topic: 'sluice.readings', partitions: 6, zones: null },
  kind: 'live' as const,
  reason: 'first contact',
}
/** Longer than any test, so that positions are not written by the timer. */
const NEVER_MS = 1_000_000
const PATIENCE = { timeout: 20_000, interval: 5 }

/** Reads a copy of the inbox in the state that kill -9 of this process would leave. */
function afterKill<T>(file: string, read: (inbox: Inbox) => T): T {
  const copy = `${file}k${++copies}`
  copyStore(file, copy)
  const inbox = openInbox({ file: copy, settleMs: NEVER_MS })
  try {
    return read(inbox)
  } finally {
    inbox.close()
  }
}
let copies = 0

describe('the inbox', () => {
  it('stores the ranges of each store separately, in the order of their addition', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: NEVER_MS })
    const first = inbox.addRange(range)
    const foreign = inbox.addRange({ ...range, store: otherStore })
    const second = inbox.addRange({ ...range, next: 5, end: 9, zones: '["z"]', kind: 'replay' })
    expect(inbox.rangesOf(store)).toEqual([first, second])
    expect(first).toEqual({ ...range, id: first.id })
    expect(afterKill(file, inbox => inbox.rangesOf(otherStore))).toEqual([foreign])
    expect(afterKill(file, inbox => inbox.rangesOf(store))).toEqual([first, second])
    inbox.close()
  })

  it('makes positions durable at close', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: NEVER_MS })
    const { id } = inbox.addRange(range)
    inbox.moveRange({ id, next: 10 })
    inbox.moveRange({ id, next: 20 })
    inbox.moveNotes(store, 5)
    expect(inbox.nextNote(store)).toBe(5)
    expect(afterKill(file, inbox => inbox.rangesOf(store)[0]!.next)).toBe(1)
    inbox.close()
    expect(afterKill(file, inbox => inbox.rangesOf(store)[0]!.next)).toBe(20)
    expect(afterKill(file, inbox => inbox.nextNote(store))).toBe(5)
    expect(afterKill(file, inbox => inbox.nextNote(otherStore))).toBe(null)
  })

  it('makes positions durable within settleMs, each time', async () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: 1 })
    const { id } = inbox.addRange(range)
    for (const next of [10, 20]) {
      inbox.moveRange({ id, next })
      inbox.moveNotes(store, next)
      await vi.waitFor(() => {
        expect(afterKill(file, inbox => inbox.rangesOf(store)[0]!.next)).toBe(next)
        expect(afterKill(file, inbox => inbox.nextNote(store))).toBe(next)
      }, PATIENCE)
    }
    inbox.close()
  })

  it('returns ranges with their newest position, durable or not', () => {
    using place = temporary()
    const inbox = openInbox({ file: place.file('inbox.db'), settleMs: NEVER_MS })
    const { id } = inbox.addRange(range)
    inbox.moveRange({ id, next: 10 })
    expect(inbox.rangesOf(store)).toEqual([{ ...range, id, next: 10 }])
    inbox.close()
  })

  it('removes a delivered range, with the next durable write of positions', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: NEVER_MS })
    const open = inbox.addRange(range)
    const { id } = inbox.addRange({ ...range, next: 5, end: 9 })
    inbox.moveRange({ id, next: 10 })
    expect(inbox.rangesOf(store)).toEqual([open])
    expect(afterKill(file, inbox => inbox.rangesOf(store))).toHaveLength(2)
    inbox.close()
    expect(afterKill(file, inbox => inbox.rangesOf(store))).toEqual([open])
    const rows = readRows(file, 'SELECT * FROM ranges')
    expect(rows).toHaveLength(1)
  })

  it('makes its own notes and id durable at once', () => {
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
    expect(afterKill(file, inbox => inbox.notesFrom(1))).toEqual(notes)
    expect(afterKill(file, inbox => inbox.id)).toEqual(inbox.id)
    inbox.close()
  })

  it('has one writer', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = openInbox({ file, settleMs: NEVER_MS })
    expect(() => openInbox({ file, settleMs: NEVER_MS })).toThrow(LockedError)
    inbox.close()
    openInbox({ file, settleMs: NEVER_MS }).close()
  })
})
