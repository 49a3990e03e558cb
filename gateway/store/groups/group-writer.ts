import type { Database } from 'better-sqlite3'
import { createEventIds } from '../../../config/event/event-id.ts'
import { encodeInto, schemaFingerprint } from '../../../config/event/sensor-reading.ts'
import { packGroup } from './group-codec.ts'
import { prepareGroupInsert } from './group-table.ts'
import { type AcceptedReading, laneOf } from './lanes.ts'
import type { Epoch, NumberingDraft } from './numbering.ts'

/** Numbers and encodes the readings of one commit and lane, and inserts them as a group. */
export function createGroupWriter(db: Database, { gateway, epoch }: Epoch) {
  const insert = prepareGroupInsert(db)
  const newest = db.prepare('SELECT bytesSoFar FROM groups ORDER BY sequence DESC LIMIT 1').pluck()
  const idOf = createEventIds(gateway, epoch)
  const eventBuffer = createEventBuffer()
  let bytesSoFar = (newest.get() as number | undefined) ?? 0
  let bytesDrafted = 0
  return {
    /** Bytes of headers and bodies of all groups ever committed. */
    get bytesSoFar() {
      return bytesSoFar
    },
    /** Begins a commit. Bytes that were counted for a failed commit are discarded. */
    begin(): void {
      bytesDrafted = bytesSoFar
    },
    /**
     * Adds the bytes of the groups since `begin` to `bytesSoFar`, because their transaction is
     * durable.
     */
    committed(): void {
      bytesSoFar = bytesDrafted
    },
    /** Inserts readings of one lane as the next group, inside the open transaction. */
    add(readings: AcceptedReading[], draft: NumberingDraft): void {
      const zones = draft.nextGroup()
      const zoneOf: number[] = []
      const lengths: number[] = []
      let [sequence, receivedFrom, receivedTo] = [0, Number.POSITIVE_INFINITY, 0]
      eventBuffer.clear()
      for (const reading of readings) {
        const { zone, receivedAt } = reading
        const numbers = draft.next(zone)
        sequence = numbers.sequence
        // Each field is listed, because spreading two objects took longer than the encoding.
        const length = eventBuffer.write({
          id: idOf(sequence),
          gateway,
          epoch,
          sequence,
          zoneSequence: numbers.zoneSequence,
          site: reading.site,
          zone,
          device: reading.device,
          observedAt: reading.observedAt,
          receivedAt,
          clock: reading.clock,
          measurements: reading.measurements,
          source: reading.source,
          traceparent: reading.traceparent,
        })
        zoneOf.push(numbers.zoneIndex)
        lengths.push(length)
        receivedFrom = Math.min(receivedFrom, receivedAt)
        receivedTo = Math.max(receivedTo, receivedAt)
      }
      const count = readings.length
      const facts = {
        sequence: sequence - count + 1,
        count,
        lane: laneOf(readings[0]!),
        epoch,
        receivedFrom,
        receivedTo,
      }
      const group = { ...facts, schema: schemaFingerprint }
      const row = packGroup(group, zones, zoneOf, lengths, eventBuffer.bytes(), bytesDrafted)
      insert.run(row)
      bytesDrafted = row.bytesSoFar
    },
  }
}

/** A buffer for the encoded events of a group. All groups reuse the buffer; it never shrinks. */
function createEventBuffer() {
  let buffer = Buffer.allocUnsafeSlow(64 * 1024)
  let end = 0
  return {
    clear: () => {
      end = 0
    },
    write(event: Parameters<typeof encodeInto>[0]): number {
      let next = encodeInto(event, buffer, end)
      while (next < 0) {
        const larger = Buffer.allocUnsafeSlow(buffer.length * 2)
        buffer.copy(larger, 0, 0, end)
        buffer = larger
        next = encodeInto(event, buffer, end)
      }
      const length = next - end
      end = next
      return length
    },
    bytes: () => buffer.subarray(0, end),
  }
}
