import { randomBytes } from 'node:crypto'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { isFirst, overwrite } from '../file/damaged-file.ts'
import { readOutbox, temporary } from '../fixture.ts'
import { openRetention } from '../retention/retention-fixture.ts'

/** What a letter of 3,000 bytes takes as a note. */
const STORED_BYTES = 4091
const KEY = 'outbox.bounds.deadLetterBytes'

const letter = (bytes: number, more: object = {}) => ({
  at: 1_700_000_000_000,
  deadLetter: {
    ...{ reason: 'no JSON', place: '4', topic: 'a/b', clock: 'SYNCED' as const },
    ...{ payload: randomBytes(bytes), ...more },
  },
})
const letters = (count: number, bytes: number) => Array.from({ length: count }, () => letter(bytes))

/** An outbox that keeps so many bytes of dead letters, with some of 3,000 bytes each. */
function startBound(deadLetterBytes: number, count: number) {
  const at = openRetention({ bounds: { deadLetterBytes } })
  const first = readOutbox(at.file).notes.length + 1
  for (let n = 0; n < count; n++) at.outbox.commit({ deadLetters: [letter(3000)] })
  const notes = () => readOutbox(at.file).notes.filter(({ kind }) => kind === 'deadletter')
  const bare = () =>
    notes().flatMap(({ sequence, content }) => (content.payload === null ? [sequence - first] : []))
  return { at, first, notes, bare }
}

describe('dead letters that wait', () => {
  it('keep their bytes up to the bound, and beyond it the newest do', () => {
    const { at, first, notes, bare } = startBound(50_000, 20)
    using _at = at
    const before = notes()
    at.update(null)
    expect(at.steps()).toBe(1)
    expect(bare()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    const after = notes()
    expect(after.slice(9)).toEqual(before.slice(9))
    expect(after.map(({ sequence }) => sequence)).toEqual(before.map(({ sequence }) => sequence))
    expect(after[0]).toEqual({
      ...before[0],
      content: { ...before[0]!.content, dropped: KEY, payload: null, size: 3000 },
    })
    expect(at.outbox.deadLetterBytes.droppedPayloads).toBe(9)
    // Nothing more is done while nothing more comes, here and after a start.
    at.update(null)
    expect(at.steps()).toBe(0)
    at.close()
    using again = openRetention({ bounds: { deadLetterBytes: 50_000 } }, at.directory)
    again.update(null)
    expect(again.steps()).toBe(0)
    expect(again.outbox.deadLetterBytes.advanceTo(first)).toBe(11 * STORED_BYTES)
    expect(notes().slice(0, 20)).toEqual(after)
  })

  it('keep theirs when they are delivered, however many they are', () => {
    const { at, first, bare } = startBound(50_000, 20)
    using _at = at
    at.update(null, { nextNote: first + 12 })
    expect(at.steps()).toBe(0)
    expect(bare()).toEqual([])
    at.outbox.commit({ deadLetters: letters(7, 3000) })
    at.update(null, { nextNote: first + 13 })
    at.steps()
    expect(bare()).toEqual([13, 14, 15])
    // An inbox that cannot be read for a moment.
    at.update(null)
    expect(at.steps()).toBe(0)
    // A new inbox, which knows nothing of what was delivered.
    at.update(1, { nextNote: 1 })
    at.steps()
    expect(bare()).toEqual(Array.from({ length: 16 }, (_, n) => n))
  })

  it('are counted right, whatever comes and goes', () => {
    const step = fc.oneof(
      fc.record({ bury: fc.nat(3), bytes: fc.nat(4000) }),
      fc.record({ deliver: fc.nat(6) }),
      fc.record({ begin: fc.constant(true) }),
      fc.record({ bound: fc.integer({ min: 0, max: 20_000 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        using place = temporary()
        const file = place.file('outbox.db')
        const outbox = openOutbox({ file, gateway: 'g' })
        const db = new Database(file, { readonly: true })
        const sizes = db
          .prepare(
            `SELECT length(body) FROM notes WHERE kind = 'deadletter' AND sequence >= ?
             AND instr(body, '"payload":null') = 0`,
          )
          .pluck()
        const newest = db.prepare('SELECT max(sequence) FROM notes').pluck()
        const { deadLetterBytes } = outbox
        let next = 1
        let isExact = true
        const sum = () => (sizes.all(next) as number[]).reduce((a, b) => a + b, 0)
        for (const one of steps) {
          if ('bury' in one) outbox.commit({ deadLetters: letters(one.bury, one.bytes) })
          if ('deliver' in one) next = Math.min(next + one.deliver, (newest.get() as number) + 1)
          if ('begin' in one) next = 1
          const waiting = deadLetterBytes.advanceTo(next)
          // What would not get smaller stays as it is, and is not looked at again.
          if (isExact) expect(waiting).toBe(sum())
          expect(waiting).toBeLessThanOrEqual(sum())
          if ('bound' in one) {
            isExact = false
            while (deadLetterBytes.dropPayloads(one.bound));
            expect(deadLetterBytes.advanceTo(next)).toBeLessThanOrEqual(one.bound)
            const rest = (sizes.all(next) as number[]).filter(size => size > 250)
            expect(rest.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(one.bound)
          }
        }
        db.close()
        outbox.close()
      }),
      { numRuns: 30 },
    )
  })

  it('are left as they are when they are small, or damaged; long texts are cut', () => {
    using at = openRetention({ bounds: { deadLetterBytes: 0 } })
    const long = { topic: 'é'.repeat(30_000), place: 'p'.repeat(40_000) }
    at.outbox.commit({ deadLetters: [letter(10), letter(3000), letter(3000), letter(9, long)] })
    const { notes } = readOutbox(at.file)
    const [small, damaged] = notes.filter(({ kind }) => kind === 'deadletter')
    const db = new Database(at.file)
    const spoil = db.prepare('UPDATE notes SET at = at + 1 WHERE sequence = ?')
    spoil.run(damaged!.sequence)
    db.close()
    at.update(null)
    at.steps()
    const after = readOutbox(at.file).notes.filter(({ kind }) => kind === 'deadletter')
    expect(after[0]).toEqual(small)
    expect(after[1]!.content).toEqual({ reason: 'note checksum differs' })
    expect(after[2]!.content).toMatchObject({ payload: null, size: 3000 })
    expect(after[3]!.content).toMatchObject({
      ...{ payload: null, size: 9, topic: `${'é'.repeat(1024)}…`, place: `${'p'.repeat(1024)}…` },
    })
  })

  it('do not keep readings out, however much garbage comes', () => {
    const flood = (deadLetterBytes: number) => {
      using at = openRetention({ bounds: { deadLetterBytes, bytes: 4_194_304 } })
      let refused = 0
      for (let second = 0; second < 30; second++) {
        for (let n = 0; n < 5; n++) {
          if (at.retention.admit() === null) at.outbox.commit({ deadLetters: letters(10, 3000) })
          else refused++
        }
        at.update(null)
        at.steps()
      }
      return refused
    }
    expect(flood(1_000_000)).toBe(0)
    expect(flood(1e9)).toBeGreaterThan(0)
  })

  // A page that is free now may hold what a letter was before; where, differs from time to time.
  it.each([1, 2, 3, 4, 5])('are told from others after salvage, too (%i)', () => {
    const { at, first, bare } = startBound(50_000, 20)
    using _at = at
    at.update(null)
    at.steps()
    at.close()
    const before = readOutbox(at.file).notes
    overwrite(at.file, isFirst)
    const healed = openOutbox({ file: at.file, gateway: 'gw' })
    expect(healed.recovery).toMatchObject({ salvaged: { lostEvents: 0, lostNotes: [] } })
    expect(readOutbox(at.file).notes.slice(0, before.length)).toEqual(before)
    expect(bare()).toHaveLength(9)
    expect(healed.deadLetterBytes.advanceTo(1)).toBe(11 * STORED_BYTES)
    expect(healed.deadLetters.find(first)).toMatchObject({
      ...{ state: 'open', payload: null, size: 3000, droppedAt: KEY, topic: 'a/b' },
    })
    healed.close()
  })
})
