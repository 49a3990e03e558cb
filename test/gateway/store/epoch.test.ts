import { rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bellFile, openBell } from '../../../gateway/store/file/bell.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { copyStore, reading, readOutbox, temporary } from './fixture.ts'

type Outbox = ReturnType<typeof openOutbox>
const open = (file: string) => openOutbox({ file, gateway: 'gw' })
const commit = (outbox: Outbox, count: number, zone = 'z') =>
  outbox.commit({ readings: Array.from({ length: count }, () => reading(zone)), deadLetters: [] })
const storeDeadLetter = (outbox: Outbox) =>
  outbox.commit({
    readings: [],
    deadLetters: [
      { at: 1, deadLetter: { reason: 'r', place: '', topic: 't', payload: Buffer.of(1) } },
    ],
  })
const notesOf = (file: string, kind: string) =>
  readOutbox(file).notes.filter(note => note.kind === kind)

/**
 * An outbox whose last events are missing. It stores 3 events, while the bell names 8 events and
 * more notes.
 */
function withLostTail(file: string) {
  const outbox = open(file)
  commit(outbox, 3)
  copyStore(file, `${file}.old`)
  commit(outbox, 5)
  storeDeadLetter(outbox)
  storeDeadLetter(outbox)
  outbox.close()
  const { epoch, store } = outbox
  const notes = readOutbox(file).notes.length
  for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true })
  rmSync(`${file}.old.bell`)
  copyStore(`${file}.old`, file)
  return { epoch, store, notes }
}

describe('a new epoch', () => {
  it('gets a new number at every start, and the store keeps its id', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const starts = Array.from({ length: 5 }, () => {
      const outbox = open(file)
      outbox.close()
      return { epoch: outbox.epoch, store: outbox.store.toString('hex') }
    })
    expect(new Set(starts.map(({ epoch }) => epoch)).size).toBe(5)
    expect(new Set(starts.map(({ store }) => store)).size).toBe(1)
    for (const { epoch } of starts) expect(epoch).toBeLessThan(2 ** 48)
    for (const { epoch } of starts) expect(epoch).toBeGreaterThan(0)
  })

  it('names the zone heads of the epoch before, from the table and the headers since', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = open(file)
    commit(outbox, 2, 'a')
    commit(outbox, 3, 'b')
    outbox.writeZoneHeads()
    commit(outbox, 4, 'b')
    commit(outbox, 1, 'c')
    copyStore(file, `${file}k`)
    outbox.close()
    open(`${file}k`).close()
    const zones = [...'abc'].map((zone, at) => [zone, [2, 7, 1][at]])
    expect(notesOf(`${file}k`, 'epoch').at(-1)!.content.previous).toEqual({
      epoch: outbox.epoch,
      lastSequence: 10,
      zones,
    })
  })

  it('continues the sequence and begins each zone sequence at 1', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    for (const count of [2, 3]) {
      const outbox = open(file)
      commit(outbox, count)
      outbox.close()
    }
    const { events } = readOutbox(file)
    expect(events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5])
    expect(events.map(({ zoneSequence }) => zoneSequence)).toEqual([1, 2, 1, 2, 3])
  })
})

describe('a bell with a later mark than the last group', () => {
  it('is a named hole, and sequences continue after the hole', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const lost = withLostTail(file)
    const outbox = open(file)
    commit(outbox, 1)
    outbox.close()
    const { events } = readOutbox(file)
    expect(events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 9])
    expect(events.at(-1)!.zoneSequence).toBe(1)
    expect(notesOf(file, 'epoch').at(-1)!.content).toMatchObject({
      firstSequence: 9,
      previous: { epoch: lost.epoch, lastSequence: 3, zones: [['z', 3]] },
    })
    expect(notesOf(file, 'hole').map(({ content }) => content)).toEqual([
      expect.objectContaining({ epoch: lost.epoch, from: 4, to: 8 }),
    ])
  })

  it('is later in notes, too: note numbers continue after the mark, so every note is forwarded', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const lost = withLostTail(file)
    open(file).close()
    const numbers = readOutbox(file).notes.map(({ sequence }) => sequence)
    expect(numbers).toEqual([1, lost.notes + 1, lost.notes + 2])
    expect(notesOf(file, 'hole')[0]!.content).toMatchObject({ notes: { from: 2, to: lost.notes } })
  })

  it('is a hole when only its note number is later', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const { epoch, store } = open(file)
    copyStore(file, `${file}k`)
    ring(`${file}k`, { store, epoch, sequence: 0, noteSequence: 4 })
    open(`${file}k`).close()
    expect(notesOf(`${file}k`, 'hole')[0]!.content).toMatchObject({ notes: { from: 2, to: 4 } })
    expect(notesOf(`${file}k`, 'hole')[0]!.content).not.toHaveProperty('from')
  })

  it('is named once, whatever the number of starts before the next event', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const lost = withLostTail(file)
    for (let start = 0; start < 3; start++) open(file).close()
    const outbox = open(file)
    commit(outbox, 1)
    outbox.close()
    open(file).close()
    expect(notesOf(file, 'hole')).toHaveLength(1)
    expect(notesOf(file, 'hole')[0]!.content.epoch).toBe(lost.epoch)
    expect(readOutbox(file).events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 9])
  })

  it('is ignored when it is damaged or belongs to another store', () => {
    for (const damage of [
      (file: string, outbox: Outbox) =>
        ring(file, { ...outbox, store: Buffer.alloc(16, 1), sequence: 99, noteSequence: 99 }),
      (file: string) => writeFileSync(bellFile(file), Buffer.alloc(48, 0xff)),
      (file: string) => rmSync(bellFile(file)),
    ]) {
      using place = temporary()
      const file = place.file('outbox.db')
      const outbox = open(file)
      commit(outbox, 2)
      outbox.close()
      damage(file, outbox)
      open(file).close()
      const reopened = open(file)
      expect(reopened.lastSequence).toBe(2)
      reopened.close()
      expect(notesOf(file, 'hole')).toEqual([])
      expect(readOutbox(file).notes.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4])
    }
  })

  function ring(file: string, mark: Parameters<ReturnType<typeof openBell>['ring']>[0]) {
    const bell = openBell(bellFile(file))
    bell.ring(mark)
    bell.close()
  }
})
