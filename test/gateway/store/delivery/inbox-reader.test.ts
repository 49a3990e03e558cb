import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  openInboxReader,
  readInboxProgress,
} from '../../../../gateway/store/delivery/inbox-reader.ts'
import { openInbox } from '../../../../gateway/store/inbox.ts'
import { temporary } from '../fixture.ts'

const store = Buffer.alloc(16, 7)
const range = {
  ...{ store, next: 1, end: null, topic: 't', partitions: 6, zones: null },
  kind: 'live' as const,
  reason: 'first contact',
}
const nothing = { pendingRanges: null, replayFrom: null, nextNote: 1 }
const open = (file: string) => openInbox({ file, settleMs: 1_000_000 })

describe('the inbox reader', () => {
  it('reads the pending ranges of a store, null while they are unknown', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const ranges = openInboxReader(file)
    expect(ranges(store)).toEqual(nothing)
    const inbox = open(file)
    expect(ranges(store)).toEqual(nothing)
    const { id } = inbox.addRange(range)
    inbox.addRange({ ...range, next: 5, end: 9 })
    expect(ranges(store).pendingRanges).toEqual([
      { next: 1, end: null },
      { next: 5, end: 9 },
    ])
    expect(ranges(Buffer.alloc(16, 8))).toEqual(nothing)
    inbox.moveRange({ id, next: 12 })
    inbox.close()
    expect(ranges(store).pendingRanges).toEqual([
      { next: 12, end: null },
      { next: 5, end: 9 },
    ])
    ranges.close()
  })

  it('reads replays separately, and the next note', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = open(file)
    inbox.addRange({ ...range, next: 9 })
    for (const next of [5, 3]) inbox.addRange({ ...range, next, end: 8, kind: 'replay' })
    inbox.moveNotes(store, 6)
    inbox.close()
    const ranges = openInboxReader(file)
    expect(ranges(store)).toEqual({
      pendingRanges: [{ next: 9, end: null }],
      replayFrom: 3,
      nextNote: 6,
    })
    expect(readInboxProgress(file, store)).toMatchObject({ next: 9, sequence: 8 })
    ranges.close()
  })

  it('follows an inbox that replaces another', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const first = open(file)
    first.addRange({ ...range, next: 11 })
    first.close()
    const ranges = openInboxReader(file)
    expect(ranges(store).pendingRanges).toMatchObject([{ next: 11 }])
    renameSync(file, `${file}.damaged`)
    const next = open(file)
    next.addRange({ ...range, next: 21 })
    expect(ranges(store).pendingRanges).toMatchObject([{ next: 21 }])
    next.close()
    ranges.close()
  })

  it('reports an unknown state and does not throw when the inbox cannot be read', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const ranges = openInboxReader(file)
    mkdirSync(file)
    expect(ranges(store)).toEqual(nothing)
    rmSync(file, { recursive: true })
    writeFileSync(file, 'no database, but longer than a header'.repeat(100))
    expect(ranges(store)).toEqual(nothing)
    rmSync(file)
    const inbox = open(file)
    inbox.addRange(range)
    inbox.close()
    expect(ranges(store).pendingRanges).toMatchObject([{ next: 1, end: null }])
    ranges.close()
  })

  it('reports an unknown state for damaged pages, and reads the next inbox', () => {
    using place = temporary()
    const file = place.file('inbox.db')
    const inbox = open(file)
    inbox.addRange(range)
    inbox.close()
    const sound = readFileSync(file)
    writeFileSync(file, Buffer.concat([sound.subarray(0, 4096), sound.subarray(4096).fill(0x5a)]))
    const ranges = openInboxReader(file)
    expect(ranges(store)).toEqual(nothing)
    rmSync(file)
    const next = open(file)
    next.addRange({ ...range, next: 8 })
    expect(ranges(store).pendingRanges).toMatchObject([{ next: 8, end: null }])
    next.close()
    ranges.close()
  })

  it.skipIf(process.getuid?.() === 0)(
    'reports an unknown state for an inbox without read permission',
    () => {
      using place = temporary()
      const file = place.file('inbox.db')
      open(file).close()
      chmodSync(file, 0)
      const ranges = openInboxReader(file)
      expect(ranges(store)).toEqual(nothing)
      ranges.close()
    },
  )
})
