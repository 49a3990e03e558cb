import { describe, expect, it } from 'vitest'
import type { ReadGroup } from '../../../../gateway/store/read/group-finder.ts'
import { createReadAhead } from '../../../../gateway/store/source/read-ahead.ts'
import { commit, limits, numbersOf, startPlace } from './source-fixture.ts'

/** Groups of two events, the first of which is `first`, and a reader that counts what it reads. */
function startReader(...firsts: number[]) {
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
  it('reads up to the limits, and nothing of it again', () => {
    const { reader, read, groups } = startReader(1, 3, 5, 7)
    const ahead = createReadAhead()
    ahead.read(reader, 3, { maxEvents: 3, maxBytes: 10_000 })
    expect(read).toEqual([3, 5])
    const { groupAt } = ahead.wrap(reader)
    expect([groupAt(3), groupAt(5), groupAt(7)]).toEqual(groups.slice(1))
    expect(read).toEqual([3, 5, 7])
  })

  it('keeps what it has of the same groups when it is asked again', () => {
    const { reader, read } = startReader(1, 3, 5)
    const ahead = createReadAhead()
    ahead.read(reader, 1, { maxEvents: 100, maxBytes: 21 })
    ahead.read(reader, 3, { maxEvents: 100, maxBytes: 21 })
    expect(read).toEqual([1, 3, 5])
  })

  it('gives each group once, so that what is taken again is read again', () => {
    const { reader, read } = startReader(1)
    const ahead = createReadAhead()
    ahead.read(reader, 1, wide)
    const { groupAt } = ahead.wrap(reader)
    expect(groupAt(1)).toEqual(groupAt(1))
    expect(read).toEqual([1, 3, 1])
  })

  it('leaves to the taking what is not whole or not there', () => {
    const { reader, groups } = startReader(1, 5)
    const ahead = createReadAhead()
    groups[1]!.content = { reason: 'body checksum differs' }
    ahead.read(reader, 1, wide)
    groups[1]!.content = []
    expect(ahead.wrap(reader).groupAt(5)).toEqual(groups[1])
  })

  it('has nothing for another reader, which may read another file', () => {
    const before = startReader(1)
    const after = startReader(1)
    const ahead = createReadAhead()
    ahead.read(before.reader, 1, wide)
    ahead.wrap(after.reader).groupAt(1)
    expect(after.read).toEqual([1])
  })
})

describe('what is taken behind a batch', () => {
  it('is the same with reading ahead', () => {
    using place = startPlace()
    const outbox = place.openOutbox()
    commit(outbox, 1, 2)
    commit(outbox, 3)
    commit(outbox, 4, 5)
    place.source.refresh()
    place.source.ensureLiveRange('readings', 6)
    const taken = place.source.readBatch({ ...limits, maxEvents: 2 })!
    place.source.readAhead(taken, limits)
    commit(outbox, 6)
    expect(numbersOf(place.source)).toEqual([1, 2, 3, 4, 5, 6])
    place.source.advance(taken)
    expect(numbersOf(place.source)).toEqual([3, 4, 5, 6])
    outbox.close()
  })
})
