import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import {
  type DeliveredContent,
  deliverStore,
} from '../../../simulators/rehearse/bit-rot/delivery.ts'
import { reading, temporary } from './fixture.ts'

const OUTBOX = ['outbox.db', 'outbox.db-wal']
const INBOX = ['inbox.db', 'inbox.db-wal']
const BELL = ['outbox.db.bell']
const letter = { reason: 'r', place: '', topic: 't', payload: Buffer.of(1) }

/** Event 1 to 3 at the time of the backup; 4 to 8 later, of which 7 and 8 were not delivered. */
async function liveOn(dir: string, restore: (from: string) => void) {
  const open = () =>
    openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw', inboxFile: join(dir, 'inbox.db') })
  const commit = (outbox: ReturnType<typeof open>, ...numbers: number[]) =>
    outbox.commit({
      readings: numbers.map(number => reading(`z${number % 2}`, number)),
      deadLetters: [{ at: 1, deadLetter: letter }],
    })
  const backup = join(dir, 'backup')
  mkdirSync(backup)
  const arrived: DeliveredContent[] = []
  const outbox = open()
  commit(outbox, 1, 2, 3)
  arrived.push(await deliverStore(dir))
  for (const name of [...OUTBOX, ...INBOX, ...BELL])
    copyIfThere(join(dir, name), join(backup, name))
  commit(outbox, 4, 5, 6)
  arrived.push(await deliverStore(dir))
  commit(outbox, 7, 8)
  outbox.close()
  restore(backup)
  const again = open()
  commit(again, 101, 102)
  arrived.push(await deliverStore(dir))
  again.close()
  return arrived
}

function copyIfThere(from: string, to: string): void {
  rmSync(to, { force: true })
  if (existsSync(from)) copyFileSync(from, to)
}

/** What is put back from the backup, what is removed, and up to where somebody still knows. */
const cases: [string, string[], string[], number][] = [
  ['nothing', [], [], 8],
  ['the outbox', OUTBOX, [], 8],
  ['the outbox with its bell', [...OUTBOX, ...BELL], [], 6],
  ['the outbox, and the bell is gone', OUTBOX, BELL, 6],
  ['the inbox', INBOX, [], 8],
  ['the inbox, and the bell is gone', INBOX, BELL, 8],
  ['both', [...OUTBOX, ...INBOX], [], 8],
  ['both with the bell: an image of the card', [...OUTBOX, ...INBOX, ...BELL], [], 3],
  ['both, and the bell is gone', [...OUTBOX, ...INBOX], BELL, 3],
  ['the inbox, and the outbox is gone', INBOX, OUTBOX, 8],
  ['the outbox, and the inbox is gone', OUTBOX, INBOX, 8],
  ['nothing, and the outbox is gone', [], OUTBOX, 8],
  ['nothing, and the inbox is gone', [], INBOX, 8],
]

describe('an old backup that is put back', () => {
  it.each(cases)('has no number given twice, and what is gone is named: %s', async (...given) => {
    const [, restored, removed, known] = given
    using place = temporary()
    const arrived = await liveOn(place.dir, backup => {
      for (const name of restored) copyIfThere(join(backup, name), join(place.dir, name))
      for (const name of removed) rmSync(join(place.dir, name), { force: true })
    })
    const events = arrived.flatMap(({ events }) => events.map(({ value }) => decodeEvent(value)))
    const numberOf = new Map<string, number>()
    for (const { id, epoch, sequence, zone, zoneSequence, measurements } of events) {
      const number = measurements[0]!.number!
      for (const key of [id, `${epoch} ${sequence}`, `${epoch} ${zone} ${zoneSequence}`]) {
        expect(numberOf.get(key) ?? number).toBe(number)
        numberOf.set(key, number)
      }
    }
    const numbers = new Set(events.map(({ measurements }) => measurements[0]!.number!))
    expect([101, 102].filter(number => !numbers.has(number))).toEqual([])
    const spans = arrived
      .flatMap(({ notes }) => notes.map(({ content }) => content as { from?: number; to?: number }))
      .filter(({ from, to }) => from !== undefined && to !== undefined)
    const isNamed = (n: number) => spans.some(({ from, to }) => from! <= n && n <= to!)
    const gone = [1, 2, 3, 4, 5, 6, 7, 8].filter(number => !numbers.has(number))
    expect(gone.filter(number => number <= known && !isNamed(number))).toEqual([])
    const isWhole = !restored.includes('outbox.db') && !removed.includes('outbox.db')
    expect(gone).toEqual(isWhole ? [] : [7, 8])
  })

  it.each(cases)('goes on from there as ever: %s', async (...given) => {
    const [, restored, removed] = given
    using place = temporary()
    await liveOn(place.dir, backup => {
      for (const name of restored) copyIfThere(join(backup, name), join(place.dir, name))
      for (const name of removed) rmSync(join(place.dir, name), { force: true })
    })
    const outbox = openOutbox({ file: place.file('outbox.db'), gateway: 'gw' })
    outbox.commit({ readings: [reading('z', 201)], deadLetters: [] })
    const { events, damaged } = await deliverStore(place.dir)
    outbox.close()
    expect(damaged).toBe(null)
    expect(events.map(({ value }) => decodeEvent(value).measurements[0]!.number)).toEqual([201])
  })
})
