import { randomBytes } from 'node:crypto'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { isFirst, overwrite } from '../file/damaged-file.ts'
import { readOutbox, temporary } from '../fixture.ts'
import { openRetention } from '../retention/retention-fixture.ts'

/** The bytes of the note of a dead letter with 3,000 bytes of payload, written by a run. */
const storedBytes = ({ epoch }: { epoch: number }) => 4091 + `"run":${epoch},`.length
const KEY = 'outbox.bounds.deadLetterBytes'

const deadLetterOf = (bytes: number, more: object = {}) => ({
  at: 1_700_000_000_000,
  deadLetter: {
    ...{ reason: 'no JSON', place: '4', topic: 'a/b', clock: 'SYNCED' as const },
    ...{ payload: randomBytes(bytes), ...more },
  },
})
const deadLettersOf = (count: number, bytes: number) =>
  Array.from({ length: count }, () => deadLetterOf(bytes))

/**
 * An outbox with a bound on the bytes of dead letters, and `count` dead letters of 3,000 bytes
 * each. `dropped` returns which of the dead letters lost their payload.
 */
function startBound(deadLetterBytes: number, count: number) {
  const at = openRetention({ bounds: { deadLetterBytes } })
  const first = readOutbox(at.file).notes.length + 1
  for (let n = 0; n < count; n++) at.outbox.commit({ deadLetters: [deadLetterOf(3000)] })
  const notes = () => readOutbox(at.file).notes.filter(({ kind }) => kind === 'deadletter')
  const dropped = () =>
    notes().flatMap(({ sequence, content }) => (content.payload === null ? [sequence - first] : []))
  return { at, first, notes, dropped }
}

describe('the bound of undelivered dead letters', () => {
  it('drops the payloads of the oldest dead letters beyond the bound', () => {
    const { at, first, notes, dropped } = startBound(50_000, 20)
    using _at = at
    const before = notes()
    at.update(null)
    expect(at.steps()).toBe(1)
    expect(dropped()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    const after = notes()
    expect(after.slice(9)).toEqual(before.slice(9))
    expect(after.map(({ sequence }) => sequence)).toEqual(before.map(({ sequence }) => sequence))
    expect(after[0]).toEqual({
      ...before[0],
      content: { ...before[0]!.content, dropped: KEY, payload: null, size: 3000 },
    })
    expect(at.outbox.deadLetterBytes.droppedPayloads).toBe(9)
    // There is nothing more to drop while no dead letter is added, also after a restart.
    at.update(null)
    expect(at.steps()).toBe(0)
    at.close()
    using reopened = openRetention({ bounds: { deadLetterBytes: 50_000 } }, at.directory)
    reopened.update(null)
    expect(reopened.steps()).toBe(0)
    expect(reopened.outbox.deadLetterBytes.advanceTo(first)).toBe(11 * storedBytes(at.outbox))
    expect(notes().slice(0, 20)).toEqual(after)
  })

  it('does not count delivered dead letters and keeps their payloads', () => {
    const { at, first, dropped } = startBound(50_000, 20)
    using _at = at
    at.update(null, { nextNote: first + 12 })
    expect(at.steps()).toBe(0)
    expect(dropped()).toEqual([])
    at.outbox.commit({ deadLetters: deadLettersOf(7, 3000) })
    at.update(null, { nextNote: first + 13 })
    at.steps()
    expect(dropped()).toEqual([13, 14, 15])
    // The inbox cannot be read for a moment.
    at.update(null)
    expect(at.steps()).toBe(0)
    // A new inbox does not know which notes were delivered.
    at.update(1, { nextNote: 1 })
    at.steps()
    expect(dropped()).toEqual(Array.from({ length: 16 }, (_, n) => n))
  })

  it('counts the bytes exactly for any order of dead letters, deliveries and bounds', () => {
    const step = fc.oneof(
      fc.record({ add: fc.nat(3), bytes: fc.nat(4000) }),
      fc.record({ deliver: fc.nat(6) }),
      fc.record({ restart: fc.constant(true) }),
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
        for (const action of steps) {
          if ('add' in action)
            outbox.commit({ deadLetters: deadLettersOf(action.add, action.bytes) })
          if ('deliver' in action)
            next = Math.min(next + action.deliver, (newest.get() as number) + 1)
          if ('restart' in action) next = 1
          const waiting = deadLetterBytes.advanceTo(next)
          // A dead letter that would not become smaller without its payload is not changed, and no
          // longer counts.
          if (isExact) expect(waiting).toBe(sum())
          expect(waiting).toBeLessThanOrEqual(sum())
          if ('bound' in action) {
            isExact = false
            while (deadLetterBytes.dropPayloads(action.bound));
            expect(deadLetterBytes.advanceTo(next)).toBeLessThanOrEqual(action.bound)
            const rest = (sizes.all(next) as number[]).filter(size => size > 250)
            expect(rest.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(action.bound)
          }
        }
        db.close()
        outbox.close()
      }),
      { numRuns: 30 },
    )
  })

  it('leaves small and damaged dead letters unchanged, and truncates long texts', () => {
    using at = openRetention({ bounds: { deadLetterBytes: 0 } })
    const long = { topic: 'é'.repeat(30_000), place: 'p'.repeat(40_000) }
    at.outbox.commit({
      deadLetters: [
        deadLetterOf(10),
        deadLetterOf(3000),
        deadLetterOf(3000),
        deadLetterOf(9, long),
      ],
    })
    const { notes } = readOutbox(at.file)
    const [small, damaged] = notes.filter(({ kind }) => kind === 'deadletter')
    const db = new Database(at.file)
    const damage = db.prepare('UPDATE notes SET at = at + 1 WHERE sequence = ?')
    damage.run(damaged!.sequence)
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

  it('leaves room for readings, however many dead letters arrive', () => {
    const flood = (deadLetterBytes: number) => {
      using at = openRetention({ bounds: { deadLetterBytes, bytes: 4_194_304 } })
      let refused = 0
      for (let second = 0; second < 30; second++) {
        for (let n = 0; n < 5; n++) {
          if (at.retention.admit() === null)
            at.outbox.commit({ deadLetters: deadLettersOf(10, 3000) })
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

  // A free page may contain the older body of a dead letter. Whether it does varies, so the test
  // runs several times.
  it.each([1, 2, 3, 4, 5])('recognises dropped payloads after a salvage, too (%i)', () => {
    const { at, first, dropped } = startBound(50_000, 20)
    using _at = at
    at.update(null)
    at.steps()
    at.close()
    const before = readOutbox(at.file).notes
    overwrite(at.file, isFirst)
    const recovered = openOutbox({ file: at.file, gateway: 'gw' })
    expect(recovered.recovery).toMatchObject({ salvaged: { lostEvents: 0, lostNotes: [] } })
    expect(readOutbox(at.file).notes.slice(0, before.length)).toEqual(before)
    expect(dropped()).toHaveLength(9)
    expect(recovered.deadLetterBytes.advanceTo(1)).toBe(11 * storedBytes(at.outbox))
    expect(recovered.deadLetters.find(first)).toMatchObject({
      ...{ state: 'open', payload: null, size: 3000, droppedAt: KEY, topic: 'a/b' },
    })
    recovered.close()
  })
})
