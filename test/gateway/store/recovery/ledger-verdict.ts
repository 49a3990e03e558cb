import { assessGateways } from '../../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../../cloud-bridge/ledger/ledger.ts'
import { decodeNote } from '../../../../cloud-bridge/ledger/notes/notes.ts'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { readOutbox } from '../fixture.ts'

/**
 * Returns the ledger's verdict on an outbox. The ledger gets every note of the outbox twice, then
 * the events of `read`, which were read while they still existed, then the events of the outbox for
 * which `arrives` returns true.
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
    if (!note) throw new Error(`the ledger cannot decode a note of kind ${kind}`)
    ledger.addNote(note)
  }
  for (const event of [...read, ...events.filter(arrives)]) {
    ledger.addEvent({ ...event, gateway: 'gw', appendTimeMs })
  }
  const options = { nowMs: appendTimeMs, silentAfterMs: 1e9, inFlightMaxEvents: 0 }
  return assessGateways(ledger.gateways.values(), options)[0]!
}
