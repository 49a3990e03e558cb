import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createZoneMatcher } from '../../../../gateway/store/delivery/zone-filter.ts'
import type { Range } from '../../../../gateway/store/inbox.ts'
import type { ReadGroup } from '../../../../gateway/store/read/group-finder.ts'
import { readBatch } from '../../../../gateway/store/source/batch-reader.ts'

/** A group of `count` events from `first` on, 10 bytes each, or an unreadable group. */
function group(first: number, count: number, isReadable = true): ReadGroup {
  const events = Array.from({ length: count }, (_, index) => ({
    ...{ sequence: first + index, zone: 'z', value: Buffer.alloc(10) },
  }))
  const content = isReadable ? events : { reason: 'body checksum differs' }
  return { sequence: first, count, receivedFrom: 0, content }
}

type SkipNote = { kind: string; from: number; to: number }

/** A reader of these groups and an inbox that logs its calls. */
function createBatchReader(groups: ReadGroup[], given: Partial<Range> = {}) {
  const log: string[] = []
  const skipped: SkipNote[] = []
  const where = { next: 1, end: null, zones: null }
  const range = { id: 4, store: Buffer.of(1), ...where, ...given } as Range
  const reader = {
    groupAt: (number: number) =>
      groups.find(({ sequence, count }) => sequence + count > number) ?? null,
    missingUpTo: () => null,
  }
  const inbox = {
    matcherOf: createZoneMatcher(),
    addNotes(notes: { kind: string; content: object }[]) {
      for (const { kind, content } of notes) {
        log.push(`note ${kind}`)
        skipped.push({ kind, ...(content as { from: number; to: number }) })
      }
    },
    advance(moved: Range, next: number) {
      moved.next = next
      log.push(`advance ${moved.id} to ${next}`)
    },
  }
  const readNext = (maxEvents = 100, maxBytes = 10_000) => {
    const batch = readBatch(reader, inbox, range, { maxEvents, maxBytes })
    return batch && { sequences: batch.events.map(({ sequence }) => sequence), next: batch.next }
  }
  return { readNext, log, skipped, range }
}

const span = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)

describe('reading a batch', () => {
  it('gives whole groups from the position of the range on, and does not move the range', () => {
    const { readNext, range, log } = createBatchReader([group(1, 3), group(4, 2)])
    expect(readNext()).toEqual({ sequences: span(1, 5), next: 6 })
    expect(readNext()).toEqual({ sequences: span(1, 5), next: 6 })
    expect(range.next).toBe(1)
    expect(log).toEqual([])
  })

  it('gives null when there is nothing to read', () => {
    expect(createBatchReader([]).readNext()).toBe(null)
    expect(createBatchReader([group(1, 3)], { next: 4 }).readNext()).toBe(null)
    expect(createBatchReader([group(1, 3)], { next: 3, end: 2 }).readNext()).toBe(null)
  })

  it('ends with the group that reaches a limit', () => {
    const groups = [group(1, 3), group(4, 3), group(7, 3)]
    expect(createBatchReader(groups).readNext(3)!.next).toBe(4)
    expect(createBatchReader(groups).readNext(4)!.next).toBe(7)
    expect(createBatchReader(groups).readNext(1)!.sequences).toEqual([1, 2, 3])
    expect(createBatchReader(groups).readNext(100, 30)!.next).toBe(4)
    expect(createBatchReader(groups).readNext(100, 31)!.next).toBe(7)
  })

  it('starts and ends inside groups when the range does', () => {
    const { readNext } = createBatchReader([group(1, 5), group(6, 5)], { next: 3, end: 8 })
    expect(readNext()).toEqual({ sequences: span(3, 8), next: 9 })
  })

  it('notes a gap before the position moves', () => {
    const { readNext, log, skipped, range } = createBatchReader([group(6, 2)])
    expect(readNext()).toEqual({ sequences: [6, 7], next: 8 })
    expect(log).toEqual(['note jump', 'advance 4 to 6'])
    expect(skipped).toEqual([
      { kind: 'jump', from: 1, to: 5, range: 4, store: '01', reason: 'no longer in the outbox' },
    ])
    expect(range.next).toBe(6)
  })

  it('notes an unreadable group before the position moves, and continues after the group', () => {
    const { readNext, log, skipped } = createBatchReader([group(1, 5, false), group(6, 2)], {
      next: 3,
    })
    expect(readNext()).toEqual({ sequences: [6, 7], next: 8 })
    expect(log).toEqual(['note unreadable', 'advance 4 to 6'])
    expect(skipped).toMatchObject([{ from: 3, to: 5, reason: 'body checksum differs' }])
  })

  it.each([
    ['a gap', [group(1, 2), group(9, 2)]],
    ['an unreadable group', [group(1, 2), group(3, 2, false)]],
  ])('ends a batch before %s, so that no undelivered event is skipped', (_, groups) => {
    const { readNext, log } = createBatchReader(groups)
    expect(readNext()).toEqual({ sequences: [1, 2], next: 3 })
    expect(log).toEqual([])
  })

  it('passes no number after the end of the range', () => {
    const jump = createBatchReader([group(100, 5)], { next: 5, end: 7 })
    expect(jump.readNext()).toBe(null)
    expect(jump.skipped).toMatchObject([{ kind: 'jump', from: 5, to: 7 }])
    expect(jump.range.next).toBe(8)
    const unreadable = createBatchReader([group(1, 50, false)], { next: 5, end: 7 })
    expect(unreadable.readNext()).toBe(null)
    expect(unreadable.skipped).toMatchObject([{ kind: 'unreadable', from: 5, to: 7 }])
    expect(unreadable.range.next).toBe(8)
  })

  const replay = { end: 8, kind: 'replay', reason: 'replay x', epoch: 1 } as const

  it('of a replay notes missing and unreadable events as not replayed, and never goes back', () => {
    const groups = [group(3, 2, false), group(5, 4)]
    const setup = createBatchReader(groups, { ...replay, zones: '["z"]' })
    expect(setup.readNext()).toEqual({ sequences: span(5, 8), next: 9 })
    expect(setup.log).toEqual([
      'note not replayed',
      'advance 4 to 3',
      'note not replayed',
      'advance 4 to 5',
    ])
    expect(setup.skipped).toMatchObject([
      { from: 1, to: 2, asked: 'replay x', askedZones: ['z'], reason: 'no longer in the outbox' },
      { from: 3, to: 4, reason: 'body checksum differs' },
    ])
  })

  it('passes an unreadable group of other zones without a note', () => {
    const other = group(1, 2, false)
    Object.assign(other.content, { zones: [{ zone: 'y', first: 1, count: 2 }] })
    const setup = createBatchReader([other, group(3, 2)], { ...replay, zones: '["z"]' })
    expect(setup.readNext()).toEqual({ sequences: [3, 4], next: 5 })
    expect(setup.log).toEqual([])
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
      fc.property(
        fc.array(part, { maxLength: 10 }),
        bounds,
        (parts, { next, length, ...limits }) => {
          let last = 0
          const groups = parts.map(({ count, gap, isReadable }) => {
            const made = group(last + gap + 1, count, isReadable)
            last = made.sequence + count - 1
            return made
          })
          const end = length === null ? null : next + length
          const { readNext, skipped, range } = createBatchReader(groups, { next, end })
          const seen: number[] = []
          for (let batch = readNext(limits.maxEvents); batch; batch = readNext(limits.maxEvents)) {
            seen.push(...batch.sequences)
            range.next = batch.next
          }
          expect(seen).toEqual(seen.toSorted((a, b) => a - b))
          const lost = skipped.flatMap(({ from, to }) => span(from, to))
          const reach = Math.min(last, end ?? last)
          expect([...seen, ...lost].sort((a, b) => a - b)).toEqual(span(next, reach))
          if (next <= reach) expect(range.next).toBe(reach + 1)
        },
      ),
    )
  })
})
