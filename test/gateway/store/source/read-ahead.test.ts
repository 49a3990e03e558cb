import { describe, expect, it } from 'vitest'
import type { ReadGroup } from '../../../../gateway/store/read/group-finder.ts'
import { createReadAhead } from '../../../../gateway/store/source/read-ahead.ts'
import { commit, limits, numbersOf, openStores } from './source-fixture.ts'

/**
 * A reader that records which groups are read. Each group has two events, and starts at one of
 * `firsts`.
 */
function createReader(...firsts: number[]) {
  const read: number[] = []
  const groupOf = (sequence: number): ReadGroup => {
    const events = [0, 1].map(at => ({
      ...{ sequence: sequence + at, zone: 'z', value: Buffer.alloc(10) },
    }))
    return { sequence, count: 2, receivedFrom: 0, content: events }
  }
  const groups = firsts.map(groupOf)
  const groupAt = (sequence: number) => {
    read.push(sequence)
    return groups.find(group => sequence < group.sequence + group.count) ?? null
  }
  return { reader: { groupAt, missingUpTo: () => null }, read, groups }
}
const wide = { maxEvents: 100, maxBytes: 10_000 }

describe('reading ahead', () => {
  it('reads up to the limits, and no group twice', () => {
    const { reader, read, groups } = createReader(1, 3, 5, 7)
    const readAhead = createReadAhead()
    readAhead.read(reader, 3, { maxEvents: 3, maxBytes: 10_000 })
    expect(read).toEqual([3, 5])
    const { groupAt } = readAhead.wrap(reader)
    expect([groupAt(3), groupAt(5), groupAt(7)]).toEqual(groups.slice(1))
    expect(read).toEqual([3, 5, 7])
  })

  it('keeps cached groups when the same groups are requested again', () => {
    const { reader, read } = createReader(1, 3, 5)
    const readAhead = createReadAhead()
    readAhead.read(reader, 1, { maxEvents: 100, maxBytes: 21 })
    readAhead.read(reader, 3, { maxEvents: 100, maxBytes: 21 })
    expect(read).toEqual([1, 3, 5])
  })

  it('gives each cached group once; a second request reads the group again', () => {
    const { reader, read } = createReader(1)
    const readAhead = createReadAhead()
    readAhead.read(reader, 1, wide)
    const { groupAt } = readAhead.wrap(reader)
    expect(groupAt(1)).toEqual(groupAt(1))
    expect(read).toEqual([1, 3, 1])
  })

  it('caches no group that is unreadable or missing', () => {
    const { reader, groups } = createReader(1, 5)
    const readAhead = createReadAhead()
    groups[1]!.content = { reason: 'body checksum differs' }
    readAhead.read(reader, 1, wide)
    groups[1]!.content = []
    expect(readAhead.wrap(reader).groupAt(5)).toEqual(groups[1])
  })

  it('gives no cached group to another reader, which may read another file', () => {
    const before = createReader(1)
    const after = createReader(1)
    const readAhead = createReadAhead()
    readAhead.read(before.reader, 1, wide)
    readAhead.wrap(after.reader).groupAt(1)
    expect(after.read).toEqual([1])
  })
})

describe('the batch after a batch', () => {
  it('is the same with reading ahead', () => {
    using stores = openStores()
    const outbox = stores.openOutbox()
    commit(outbox, 1, 2)
    commit(outbox, 3)
    commit(outbox, 4, 5)
    stores.source.refresh()
    stores.source.ensureLiveRange('readings', 6)
    const batch = stores.source.readBatch({ ...limits, maxEvents: 2 })!
    stores.source.readAhead(batch, limits)
    commit(outbox, 6)
    expect(numbersOf(stores.source)).toEqual([1, 2, 3, 4, 5, 6])
    stores.source.advance(batch)
    expect(numbersOf(stores.source)).toEqual([3, 4, 5, 6])
    outbox.close()
  })
})
