import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { assessGateways } from '../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../cloud-bridge/ledger/ledger.ts'
import { decodeNote } from '../../cloud-bridge/ledger/notes/notes.ts'
import { decodeEvent } from '../../config/event/sensor-reading.ts'
import { openOutbox } from '../../gateway/store/outbox.ts'
import { type DeliveredContent, deliverStore } from '../../simulators/rehearse/bit-rot/delivery.ts'
import { reading } from '../gateway/store/fixture.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-changes-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

/** Runs the gateway's store once with these settings and stores an event for each number. */
function run(numbers: number[], { gateway = 'gw', name = 'outbox.db' } = {}): void {
  const inboxFile = join(dir, 'inbox.db')
  const outbox = openOutbox({ file: join(dir, name), gateway, inboxFile })
  outbox.commit({ readings: numbers.map(number => reading(`z${number % 3}`, number)) })
  outbox.writeZoneHeads()
  outbox.commit({ readings: numbers.map(number => reading(`z${number % 3}`, number + 100)) })
  outbox.close()
}

const numbersOf = ({ events }: DeliveredContent) =>
  events.map(({ value }) => decodeEvent(value).measurements[0]!.number)

/** The conclusion of the ledger for each gateway. */
function proven({ events, notes }: DeliveredContent) {
  const ledger = createLedger()
  const appendTimeMs = Date.now()
  for (const note of notes)
    ledger.addNote(decodeNote(Buffer.from(JSON.stringify(note)), appendTimeMs)!)
  for (const { value } of events) ledger.addEvent({ ...decodeEvent(value), appendTimeMs })
  const now = { nowMs: appendTimeMs, silentAfterMs: 60_000, inFlightMaxEvents: 0 }
  return assessGateways(ledger.gateways.values(), now).map(
    ({ gateway, state, events, missing, explained }) => [
      gateway,
      state,
      events,
      missing,
      explained,
    ],
  )
}

it('a gateway with another name: waiting events are delivered, and each name is proven', async () => {
  run([1, 2, 3], { gateway: 'a' })
  run([4, 5], { gateway: 'b' })
  run([6], { gateway: 'a' })
  const delivered = await deliverStore(dir)
  expect(numbersOf(delivered)).toEqual([1, 2, 3, 101, 102, 103, 4, 5, 104, 105, 6, 106])
  expect(proven(delivered)).toEqual([
    ['a', 'complete', 8, 0, 0],
    ['b', 'complete', 4, 0, 0],
  ])
})

it('another outbox: events of the first are delivered when the first is configured once more', async () => {
  run([1, 2, 3])
  run([4, 5], { name: 'other.db' })
  run([6])
  const delivered = await deliverStore(dir)
  expect(numbersOf(delivered)).toEqual([1, 2, 3, 101, 102, 103, 6, 106])
  expect(proven(delivered)).toEqual([['gw', 'complete', 8, 0, 0]])
})
