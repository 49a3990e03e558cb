import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { createZoneMatcher } from '../../../../gateway/store/delivery/zone-filter.ts'
import { bellFile } from '../../../../gateway/store/file/bell.ts'
import { isDamage } from '../../../../gateway/store/file/damage-mark.ts'
import { openPages } from '../../../../gateway/store/file/sqlite-pages.ts'
import { cellsIn } from '../../../../gateway/store/file/sqlite-records.ts'
import type { StoredEvent } from '../../../../gateway/store/groups/group-codec.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'
import { readBatch } from '../../../../gateway/store/source/batch-reader.ts'
import { reading, temporary } from '../fixture.ts'

const GROUPS = 12
const PER_GROUP = 10
const LAST = GROUPS * PER_GROUP

/**
 * Writes an outbox with some groups and notes, and closes it, so that one file contains all rows.
 */
function writeOutbox(file: string): void {
  const outbox = openOutbox({ file, gateway: 'gw' })
  for (let group = 0; group < GROUPS; group++) {
    const readings = Array.from({ length: PER_GROUP }, (_, at) => reading(`z${at % 3}`, at))
    outbox.commit({ readings, deadLetters: [] })
  }
  outbox.close()
}

type LostSpan = { kind: string; from: number; to: number; reason?: string }

/**
 * Reads an outbox as the bridge does. Returns all events, and the spans for which the bridge writes
 * notes about missing or unreadable events.
 */
function readAll(file: string): { events: StoredEvent[]; lost: LostSpan[] } | null {
  const reader = openOutboxReader(file)
  if (!reader) return null
  try {
    const rest = { next: 1, end: null, zones: null }
    const range = { id: 1, store: reader.store, ...rest, topic: 't', partitions: 1 }
    const lost: LostSpan[] = []
    const inbox = {
      addNotes: (notes: { kind: string; content: object }[]) => {
        for (const { kind, content } of notes) lost.push({ ...(content as LostSpan), kind })
      },
      advance: () => {},
      matcherOf: createZoneMatcher(),
    }
    const events: StoredEvent[] = []
    for (let batches = 0; batches <= GROUPS; batches++) {
      const limits = { maxEvents: PER_GROUP, maxBytes: 1e6 }
      const batch = readBatch(reader, inbox as never, range as never, limits)
      if (!batch) return { events, lost }
      events.push(...batch.events)
      range.next = batch.next
    }
    throw new Error(`reading ${file} does not end`)
  } finally {
    reader.close()
  }
}

describe('one flipped bit of the outbox file', () => {
  it('never changes an event; a note names each lost event, or SQLite reports the damage', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    writeOutbox(file)
    const intact = readFileSync(file)
    const original = readAll(file)!
    expect(original.events.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: LAST }, (_, at) => at + 1),
    )
    const counts = { harmless: 0, noted: 0, refused: 0 }
    for (let at = 0; at < intact.length; at += 71) {
      const damaged = Buffer.from(intact)
      damaged[at]! ^= 1 << (at % 8)
      writeFileSync(file, damaged)
      try {
        const found = readAll(file)
        if (!found) counts.refused++
        else {
          for (const event of found.events)
            expect(event).toEqual(original.events[event.sequence - 1])
          expect(coverage(found)).toEqual({ at, missing: [], twice: [] })
          if (found.lost.length > 0) counts.noted++
          else counts.harmless++
        }
      } catch (error) {
        if (!isDamage(error)) throw error
        counts.refused++
      }

      function coverage({ events, lost }: { events: StoredEvent[]; lost: LostSpan[] }) {
        const count = new Array<number>(LAST + 1).fill(0)
        for (const { sequence } of events) count[sequence]!++
        for (const { from, to } of lost) for (let s = from; s <= to; s++) count[s]!++
        const sequencesWhere = (holds: (n: number) => boolean) =>
          count.flatMap((n, sequence) => (sequence > 0 && holds(n) ? [sequence] : []))
        return { at, missing: sequencesWhere(n => n === 0), twice: sequencesWhere(n => n > 1) }
      }
    }
    expect(counts.noted).toBeGreaterThan(10)
    expect(counts.harmless).toBeGreaterThan(10)
  })
})

describe('a damaged row number', () => {
  it('never hides a stored event: the file is reported as damaged', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    writeOutbox(file)
    const intact = readFileSync(file)
    const counts = { noted: 0, refused: 0 }
    for (const at of rowNumbersIn(file)) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Buffer.from(intact)
        damaged[at]! ^= 1 << bit
        writeFileSync(file, damaged)
        try {
          const { events, lost } = readAll(file)!
          const named = lost.flatMap(({ from, to }) =>
            Array.from({ length: to - from + 1 }, (_, index) => from + index),
          )
          const all = new Set([...events.map(({ sequence }) => sequence), ...named])
          expect({ at, bit, all: all.size }).toEqual({ at, bit, all: LAST })
          counts.noted++
        } catch (error) {
          if (!isDamage(error)) throw error
          counts.refused++
        }
      }
    }
    expect(Math.min(counts.noted, counts.refused)).toBeGreaterThan(10)
  })

  /** The offsets of the last byte of each group's row number in a file. */
  function rowNumbersIn(file: string): number[] {
    const pages = openPages(file)
    const offsets: number[] = []
    for (let number = 2; number <= pages.count; number++) {
      const page = pages.page(number)!
      for (const { at, rowid, types } of cellsIn(page, number)) {
        if (types.length !== 13) continue
        // The length of such a row takes two bytes, and its row number one byte.
        expect([page[at]! >> 7, page[at + 1]! >> 7, page[at + 2]]).toEqual([1, 0, rowid])
        offsets.push((number - 1) * page.length + at + 2)
      }
    }
    pages.close()
    expect(offsets).toHaveLength(GROUPS)
    return offsets
  }
})

describe('a row whose columns are damaged', () => {
  const damages = [
    ['count', 'count + 1048576'],
    ['count', '2'],
    ['count', '0'],
    ['count', '-5'],
    ['epoch', 'epoch + 1'],
    ['bytesSoFar', '-1'],
    ['header', "x'5b5d'"],
    ['schema', "x''"],
    ['body', "x'00'"],
    ['bodyCrc', '0'],
  ]
  const groupsToDamage = [41, 111]

  it.each(damages)('loses no other event, and is noted: %s = %s', (column, value) => {
    for (const sequence of groupsToDamage) {
      using place = temporary()
      const file = place.file('outbox.db')
      writeOutbox(file)
      using db = disposable(new Database(file))
      db.exec(`UPDATE groups SET ${column} = ${value} WHERE sequence = ${sequence}`)
      const found = readAll(file)!
      const expected = Array.from({ length: LAST }, (_, at) => at + 1).filter(
        event => event < sequence || event >= sequence + PER_GROUP,
      )
      expect(found.events.map(event => event.sequence)).toEqual(expected)
      for (const { from, to } of found.lost) {
        expect([from, to]).toEqual([expect.any(Number), expect.any(Number)])
        expect(from).toBeGreaterThanOrEqual(sequence)
        expect(to).toBeLessThan(sequence + PER_GROUP)
      }
    }
  })

  it('does not hide later commits', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    const commit = () => {
      const readings = Array.from({ length: PER_GROUP }, (_, at) => reading('z', at))
      outbox.commit({ readings, deadLetters: [] })
    }
    commit()
    using db = disposable(new Database(file))
    db.exec('UPDATE groups SET count = 1000000')
    expect(readAll(file)?.lost).toMatchObject([{ kind: 'unreadable', from: 1, to: PER_GROUP }])
    rmSync(bellFile(file))
    // The header of the last group is damaged. Without the bell, its number of events is known only
    // after a next group is stored.
    expect(readAll(file)).toEqual({ events: [], lost: [] })
    commit()
    const found = readAll(file)!
    expect(found.lost).toMatchObject([{ kind: 'unreadable', from: 1, to: PER_GROUP }])
    expect(found.events.map(({ sequence }) => sequence - PER_GROUP)).toEqual(
      Array.from({ length: PER_GROUP }, (_, at) => at + 1),
    )
    outbox.close()
  })
})

describe('groups that are missing', () => {
  it.each([
    ['all', 1],
    ['the last', LAST - PER_GROUP + 1],
  ])("are noted up to the bell's mark: %s", (_, from) => {
    using place = temporary()
    const file = place.file('outbox.db')
    writeOutbox(file)
    using db = disposable(new Database(file))
    db.prepare('DELETE FROM groups WHERE sequence >= ?').run(from)
    const found = readAll(file)!
    expect(found.events).toHaveLength(from - 1)
    const reason = 'no longer in the outbox'
    expect(found.lost).toMatchObject([{ kind: 'jump', from, to: LAST, reason }])
  })
})

function disposable(db: InstanceType<typeof Database>) {
  return Object.assign(db, { [Symbol.dispose]: () => db.close() })
}
