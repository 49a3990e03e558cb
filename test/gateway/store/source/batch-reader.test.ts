import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createZoneMatcher } from '../../../../gateway/store/delivery/zone-filter.ts'
import type { Range } from '../../../../gateway/store/inbox.ts'
import type { ReadGroup } from '../../../../gateway/store/read/group-finder.ts'
import { readBatch } from '../../../../gateway/store/source/batch-reader.ts'

/** A group of `count` events from `first` on, 10 bytes each, or one that cannot be read. */
function group(first: number, count: number, isReadable = true): ReadGroup {
  const events = Array.from({ length: count }, (_, at) => ({
    ...{ sequence: first + at, zone: 'z', value: Buffer.alloc(10) },
  }))
  const content = isReadable ? events : { reason: 'body checksum differs' }
  return { sequence: first, count, receivedFrom: 0, content }
}

type Passed = { kind: string; from: number; to: number }

/** A reader of these groups and an inbox that remembers in which order it was told what. */
function startTaking(groups: ReadGroup[], given: Partial<Range> = {}) {
  const told: string[] = []
  const passed: Passed[] = []
  const where = { next: 1, end: null, zones: null }
  const range = { id: 4, store: Buffer.of(1), ...where, ...given } as Range
  const reader = {
    groupAt: (at: number) => groups.find(({ sequence, count }) => sequence + count > at) ?? null,
    missingUpTo: () => null,
  }
  const inbox = {
    chosenBy: createZoneMatcher(),
    addNotes(notes: { kind: string; content: object }[]) {
      for (const { kind, content } of notes) {
        told.push(`note ${kind}`)
        passed.push({ kind, ...(content as { from: number; to: number }) })
      }
    },
    advance(moved: Range, next: number) {
      moved.next = next
      told.push(`move ${moved.id} to ${next}`)
    },
  }
  const take = (maxEvents = 100, maxBytes = 10_000) => {
    const taken = readBatch(reader, inbox, range, { maxEvents, maxBytes })
    return taken && { sequences: taken.events.map(({ sequence }) => sequence), next: taken.next }
  }
  return { take, told, passed, range }
}

const span = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => from + at)

describe('taking', () => {
  it('gives whole groups from where the range stands, and does not move it', () => {
    const { take, range, told } = startTaking([group(1, 3), group(4, 2)])
    expect(take()).toEqual({ sequences: span(1, 5), next: 6 })
    expect(take()).toEqual({ sequences: span(1, 5), next: 6 })
    expect(range.next).toBe(1)
    expect(told).toEqual([])
  })

  it('gives null when there is nothing', () => {
    expect(startTaking([]).take()).toBe(null)
    expect(startTaking([group(1, 3)], { next: 4 }).take()).toBe(null)
    expect(startTaking([group(1, 3)], { next: 3, end: 2 }).take()).toBe(null)
  })

  it('ends with the group that reaches a limit', () => {
    const groups = [group(1, 3), group(4, 3), group(7, 3)]
    expect(startTaking(groups).take(3)!.next).toBe(4)
    expect(startTaking(groups).take(4)!.next).toBe(7)
    expect(startTaking(groups).take(1)!.sequences).toEqual([1, 2, 3])
    expect(startTaking(groups).take(100, 30)!.next).toBe(4)
    expect(startTaking(groups).take(100, 31)!.next).toBe(7)
  })

  it('begins and ends inside groups when the range does', () => {
    const { take } = startTaking([group(1, 5), group(6, 5)], { next: 3, end: 8 })
    expect(take()).toEqual({ sequences: span(3, 8), next: 9 })
  })

  it('notes a gap before the position moves', () => {
    const { take, told, passed, range } = startTaking([group(6, 2)])
    expect(take()).toEqual({ sequences: [6, 7], next: 8 })
    expect(told).toEqual(['note jump', 'move 4 to 6'])
    expect(passed).toEqual([
      { kind: 'jump', from: 1, to: 5, range: 4, store: '01', reason: 'no longer in the outbox' },
    ])
    expect(range.next).toBe(6)
  })

  it('notes an unreadable group before the position moves, and goes on behind it', () => {
    const { take, told, passed } = startTaking([group(1, 5, false), group(6, 2)], { next: 3 })
    expect(take()).toEqual({ sequences: [6, 7], next: 8 })
    expect(told).toEqual(['note unreadable', 'move 4 to 6'])
    expect(passed).toMatchObject([{ from: 3, to: 5, reason: 'body checksum differs' }])
  })

  it.each([
    ['a gap', [group(1, 2), group(9, 2)]],
    ['an unreadable group', [group(1, 2), group(3, 2, false)]],
  ])('ends a batch before %s, so that nothing is passed that was not settled', (_, groups) => {
    const { take, told } = startTaking(groups)
    expect(take()).toEqual({ sequences: [1, 2], next: 3 })
    expect(told).toEqual([])
  })

  it('passes nothing behind the end of the range', () => {
    const jump = startTaking([group(100, 5)], { next: 5, end: 7 })
    expect(jump.take()).toBe(null)
    expect(jump.passed).toMatchObject([{ kind: 'jump', from: 5, to: 7 }])
    expect(jump.range.next).toBe(8)
    const unreadable = startTaking([group(1, 50, false)], { next: 5, end: 7 })
    expect(unreadable.take()).toBe(null)
    expect(unreadable.passed).toMatchObject([{ kind: 'unreadable', from: 5, to: 7 }])
    expect(unreadable.range.next).toBe(8)
  })

  const replay = { end: 8, reason: 'replay x', epoch: 1 }

  it('of a replay notes what is gone or unreadable as no hole, and never goes back', () => {
    const groups = [group(3, 2, false), group(5, 4)]
    const at = startTaking(groups, { ...replay, zones: '["z"]' })
    expect(at.take()).toEqual({ sequences: span(5, 8), next: 9 })
    expect(at.told).toEqual([
      'note not replayed',
      'move 4 to 3',
      'note not replayed',
      'move 4 to 5',
    ])
    expect(at.passed).toMatchObject([
      { from: 1, to: 2, asked: 'replay x', askedZones: ['z'], reason: 'no longer in the outbox' },
      { from: 3, to: 4, reason: 'body checksum differs' },
    ])
  })

  it('passes by an unreadable group of other zones without a word', () => {
    const other = group(1, 2, false)
    Object.assign(other.content, { zones: [{ zone: 'y', first: 1, count: 2 }] })
    const at = startTaking([other, group(3, 2)], { ...replay, zones: '["z"]' })
    expect(at.take()).toEqual({ sequences: [3, 4], next: 5 })
    expect(at.told).toEqual([])
  })

  it('accounts for every number once, whatever is missing or damaged', () => {
    const part = fc.record({
      count: fc.integer({ min: 1, max: 6 }),
      gap: fc.constantFrom(0, 0, 0, 4),
      isReadable: fc.constantFrom(true, true, true, false),
    })
    const bounds = fc.record({
      next: fc.integer({ min: 1, max: 30 }),
      length: fc.option(fc.nat(40)),
      maxEvents: fc.integer({ min: 1, max: 12 }),
    })
    fc.assert(
      fc.property(fc.array(part, { maxLength: 10 }), bounds, (parts, { next, length, ...most }) => {
        let last = 0
        const groups = parts.map(({ count, gap, isReadable }) => {
          const made = group(last + gap + 1, count, isReadable)
          last = made.sequence + count - 1
          return made
        })
        const end = length === null ? null : next + length
        const { take, passed, range } = startTaking(groups, { next, end })
        const seen: number[] = []
        for (let taken = take(most.maxEvents); taken; taken = take(most.maxEvents)) {
          seen.push(...taken.sequences)
          range.next = taken.next
        }
        expect(seen).toEqual(seen.toSorted((a, b) => a - b))
        const lost = passed.flatMap(({ from, to }) => span(from, to))
        const reach = Math.min(last, end ?? last)
        expect([...seen, ...lost].sort((a, b) => a - b)).toEqual(span(next, reach))
        if (next <= reach) expect(range.next).toBe(reach + 1)
      }),
    )
  })
})
