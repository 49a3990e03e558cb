import { assessGateways } from '../../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../../cloud-bridge/ledger/ledger.ts'
import { decodeNote } from '../../../../cloud-bridge/ledger/notes/notes.ts'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { readOutbox } from '../fixture.ts'

/**
 * The ledger's verdict after every note of an outbox twice, those of its events that arrive, and
 * before them the events of `read`, which were read when they still existed.
 */
export function verdictOf(
  file: string,
  read: SensorReading[] = [],
  arrives: (event: SensorReading) => boolean = () => true,
) {
  const ledger = createLedger()
  const appendTimeMs = Date.now()
  const { events, notes } = readOutbox(file)
  for (const { sequence, kind, at, content } of [...notes, ...notes]) {
    const value = { gateway: 'gw', store: 'aa', origin: 'outbox', sequence, kind, at, content }
    const note = decodeNote(Buffer.from(JSON.stringify(value)), appendTimeMs)
    if (!note) throw new Error(`the ledger does not understand a note: ${kind}`)
    ledger.addNote(note)
  }
  for (const event of [...read, ...events.filter(arrives)]) {
    ledger.addEvent({ ...event, gateway: 'gw', appendTimeMs })
  }
  const options = { nowMs: appendTimeMs, silentAfterMs: 1e9, inFlightMaxEvents: 0 }
  return assessGateways(ledger.gateways.values(), options)[0]!
}
