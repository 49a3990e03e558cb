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
const deadLetter = { reason: 'r', place: '', topic: 't', payload: Buffer.of(1) }

/**
 * Events 1 to 3 are in the backup. Events 4 to 8 are stored after the backup; 7 and 8 are not
 * delivered. Then `restore` restores the backup, and readings 101 and 102 are stored. Returns what
 * each run of the bridge delivered.
 */
async function continueAfter(dir: string, restore: (from: string) => void) {
  const open = () =>
    openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw', inboxFile: join(dir, 'inbox.db') })
  const commit = (outbox: ReturnType<typeof open>, ...numbers: number[]) =>
    outbox.commit({
      readings: numbers.map(number => reading(`z${number % 2}`, number)),
      deadLetters: [{ at: 1, deadLetter }],
    })
  const backup = join(dir, 'backup')
  mkdirSync(backup)
  const runs: DeliveredContent[] = []
  const outbox = open()
  commit(outbox, 1, 2, 3)
  runs.push(await deliverStore(dir))
  for (const name of [...OUTBOX, ...INBOX, ...BELL])
    copyIfExists(join(dir, name), join(backup, name))
  commit(outbox, 4, 5, 6)
  runs.push(await deliverStore(dir))
  commit(outbox, 7, 8)
  outbox.close()
  restore(backup)
  const restored = open()
  commit(restored, 101, 102)
  runs.push(await deliverStore(dir))
  restored.close()
  return runs
}

function copyIfExists(from: string, to: string): void {
  rmSync(to, { force: true })
  if (existsSync(from)) copyFileSync(from, to)
}

/**
 * For each case: its name, the restored files, the removed files, and the last event that a bell or
 * the inbox names after that.
 */
const cases: [string, string[], string[], number][] = [
  ['nothing', [], [], 8],
  ['the outbox', OUTBOX, [], 8],
  ['the outbox with its bell', [...OUTBOX, ...BELL], [], 6],
  ['the outbox, and the bell is missing', OUTBOX, BELL, 6],
  ['the inbox', INBOX, [], 8],
  ['the inbox, and the bell is missing', INBOX, BELL, 8],
  ['both', [...OUTBOX, ...INBOX], [], 8],
  ['both with the bell: an image of the card', [...OUTBOX, ...INBOX, ...BELL], [], 3],
  ['both, and the bell is missing', [...OUTBOX, ...INBOX], BELL, 3],
  ['the inbox, and the outbox is missing', INBOX, OUTBOX, 8],
  ['the outbox, and the inbox is missing', OUTBOX, INBOX, 8],
  ['nothing, and the outbox is missing', [], OUTBOX, 8],
  ['nothing, and the inbox is missing', [], INBOX, 8],
]

describe('a store restored from an old backup', () => {
  it.each(cases)(
    'gives no number twice, and names every missing event: %s',
    async (...testCase) => {
      const [, restored, removed, known] = testCase
      using place = temporary()
      const runs = await continueAfter(place.dir, backup => {
        for (const name of restored) copyIfExists(join(backup, name), join(place.dir, name))
        for (const name of removed) rmSync(join(place.dir, name), { force: true })
      })
      const events = runs.flatMap(({ events }) => events.map(({ value }) => decodeEvent(value)))
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
      const spans = runs
        .flatMap(({ notes }) =>
          notes.map(({ content }) => content as { from?: number; to?: number }),
        )
        .filter(({ from, to }) => from !== undefined && to !== undefined)
      const isNamed = (n: number) => spans.some(({ from, to }) => from! <= n && n <= to!)
      const missing = [1, 2, 3, 4, 5, 6, 7, 8].filter(number => !numbers.has(number))
      expect(missing.filter(number => number <= known && !isNamed(number))).toEqual([])
      const isComplete = !restored.includes('outbox.db') && !removed.includes('outbox.db')
      expect(missing).toEqual(isComplete ? [] : [7, 8])
    },
  )

  it.each(cases)('stores and delivers new events: %s', async (...testCase) => {
    const [, restored, removed] = testCase
    using place = temporary()
    await continueAfter(place.dir, backup => {
      for (const name of restored) copyIfExists(join(backup, name), join(place.dir, name))
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
