import { existsSync, readFileSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { defaults } from '../../../config/config.ts'
import { schemaFingerprint } from '../../../config/event/sensor-reading.ts'
import { bellFile, readBell } from '../../../gateway/store/file/bell.ts'
import { LockedError } from '../../../gateway/store/file/lock.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from './fixture.ts'

const open = (file: string) => openOutbox({ file, gateway: 'gw' })
const deadLetter = { reason: 'r', place: '', topic: 't', payload: Buffer.of(1) }

function rowsOf(file: string, query: string) {
  const db = new Database(file, { readonly: true })
  const rows = db.prepare(query).all()
  db.close()
  return rows
}

/** Makes a directory the current directory until the end of the scope. */
function inDirectory(dir: string): Disposable {
  const before = process.cwd()
  process.chdir(dir)
  return { [Symbol.dispose]: () => process.chdir(before) }
}

describe('the outbox', () => {
  it('creates the default directory with access for its owner only', () => {
    using place = temporary()
    using _there = inDirectory(place.dir)
    open(defaults.outbox.file).close()
    expect(statSync(place.file('data')).mode & 0o777).toBe(0o700)
    expect(existsSync(place.file('data/outbox.db'))).toBe(true)
  })

  it("has one writer, and a second writer's error names the lock", () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = open(file)
    expect(() => open(file)).toThrow(LockedError)
    expect(() => open(file)).toThrow(`${file}.lock`)
    outbox.commit({ readings: [reading('z')], deadLetters: [] })
    outbox.close()
    open(file).close()
  })

  it('stores one commit in one row whose columns describe its events', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = open(file)
    const readings = [reading('a', 5), reading('b', 9), reading('a', 2)]
    outbox.commit({ readings, deadLetters: [] })
    expect(rowsOf(file, 'SELECT * FROM groups')).toEqual([
      {
        ...{ sequence: 1, count: 3, lane: 'standard', epoch: outbox.epoch, version: 1 },
        receivedFrom: 1_700_000_000_002,
        receivedTo: 1_700_000_000_009,
        schema: schemaFingerprint,
        bytesSoFar: outbox.bytesSoFar,
        header: Buffer.from('[["a",1,2],["b",1,1]]'),
        ...{ headerCrc: expect.any(Number), bodyCrc: expect.any(Number), body: expect.any(Buffer) },
      },
    ])
    outbox.close()
  })

  it('commits readings and dead letters together, or nothing when a reading is invalid', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = open(file)
    outbox.commit({ readings: [reading('a')], deadLetters: [] })
    const invalid = reading('a', 1, { observedAt: 'yesterday' as never })
    outbox.unreleased.remember('c', 1, Buffer.alloc(32))
    const content = { readings: [reading('b'), invalid], deadLetters: [{ at: 1, deadLetter }] }
    expect(() => outbox.commit(content)).toThrow()
    expect(outbox.unreleased.count).toBe(0)
    outbox.commit({ readings: [reading('b')], deadLetters: [{ at: 1, deadLetter }] })
    const { events, notes } = readOutbox(file)
    expect(
      events.map(({ sequence, zone, zoneSequence }) => [sequence, zone, zoneSequence]),
    ).toEqual([
      [1, 'a', 1],
      [2, 'b', 1],
    ])
    expect(notes.map(({ sequence, kind }) => [sequence, kind])).toEqual([
      [1, 'epoch'],
      [2, 'deadletter'],
    ])
    outbox.close()
  })

  it('rings after each commit with the last event and note', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = open(file)
    const { store, epoch } = outbox
    const expectMark = (sequence: number, noteSequence: number) =>
      expect(readBell(bellFile(file))).toEqual({ store, epoch, sequence, noteSequence })
    expectMark(0, 1)
    outbox.commit({ readings: [reading('a'), reading('a')], deadLetters: [] })
    expectMark(2, 1)
    outbox.commit({ readings: [], deadLetters: [{ at: 1, deadLetter }] })
    expectMark(2, 2)
    outbox.writeZoneHeads()
    expectMark(2, 3)
    outbox.writeZoneHeads()
    expectMark(2, 4)
    outbox.commit({ readings: [reading('b')], deadLetters: [] })
    outbox.close()
    expectMark(3, 5)
  })

  it('names in a heartbeat the zones with new events since the last heartbeat, if any', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = open(file)
    const { epoch } = outbox
    outbox.commit({ readings: [reading('a'), reading('b')], deadLetters: [] })
    outbox.writeZoneHeads()
    outbox.commit({ readings: [reading('b')], deadLetters: [] })
    outbox.writeZoneHeads()
    outbox.writeZoneHeads()
    outbox.close()
    const heads = readOutbox(file).notes.filter(({ kind }) => kind === 'heads')
    expect(heads.map(({ content }) => content)).toEqual([
      { epoch, lastSequence: 2, zones: [...'ab'].map(zone => [zone, 1]) },
      { epoch, lastSequence: 3, zones: [['b', 2]] },
      { epoch, lastSequence: 3, zones: [] },
    ])
  })

  it('writes nothing for an empty commit', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = open(file)
    const before = readFileSync(`${file}-wal`)
    outbox.commit({ readings: [], deadLetters: [] })
    expect(readFileSync(`${file}-wal`).equals(before)).toBe(true)
    outbox.close()
  })

  it('stores events of any size', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = open(file)
    const text = 'é'.repeat(400_000)
    const measurements = [{ metric: 'm', number: null, flag: null, text, unit: null }]
    const readings = [reading('a'), reading('a', 1, { measurements }), reading('b')]
    outbox.commit({ readings, deadLetters: [] })
    outbox.close()
    const { events } = readOutbox(file)
    expect(events).toMatchObject(readings)
  })
})
