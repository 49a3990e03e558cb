import type { Database } from 'better-sqlite3'
import { encodeInto, type Reading, schemaFingerprint } from '../../config/events.ts'
import { eventIds } from '../../config/ids.ts'
import type { Epoch } from './epoch.ts'
import { type GroupRow, packGroup } from './group.ts'
import type { Draft } from './numbering.ts'

/** The only lane so far; a lane is a retention class, and a group never mixes two. */
const LANE = 'standard'

/** Turns the readings of one commit into numbered events and inserts them as one group. */
export function openGroups(db: Database, { gateway, epoch }: Epoch) {
  const insert = insertGroup(db)
  const newest = db.prepare('SELECT bytesSoFar FROM groups ORDER BY sequence DESC LIMIT 1').pluck()
  const idOf = eventIds(gateway, epoch)
  const scratch = startScratch()
  let bytesSoFar = (newest.get() as number | undefined) ?? 0
  return {
    /** Bytes of headers and bodies of all groups ever stored here, the last committed included. */
    get bytesSoFar() {
      return bytesSoFar
    },
    /** Inserts inside the open transaction; call the result once it is committed. */
    add(readings: Reading[], draft: Draft): () => void {
      const zoneOf: number[] = []
      const lengths: number[] = []
      let [sequence, receivedFrom, receivedTo] = [0, Number.POSITIVE_INFINITY, 0]
      scratch.clear()
      for (const reading of readings) {
        const { zone, receivedAt } = reading
        const numbers = draft.next(zone)
        sequence = numbers.sequence
        // Written out, because spreading two objects took longer than encoding the result.
        const length = scratch.write({
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
        lane: LANE,
        epoch,
        receivedFrom,
        receivedTo,
      }
      const group = { ...facts, schema: schemaFingerprint }
      const row = packGroup(group, draft.zones, zoneOf, lengths, scratch.bytes(), bytesSoFar)
      insert.run(row)
      return () => {
        bytesSoFar = row.bytesSoFar
      }
    },
  }
}

/** Inserts a row as it is. */
export function insertGroup(db: Database) {
  return db.prepare<GroupRow>(
    `INSERT INTO groups VALUES (@sequence, @count, @lane, @epoch, @receivedFrom, @receivedTo,
     @version, @schema, @bytesSoFar, @header, @headerCrc, @bodyCrc, @body)`,
  )
}

/** A buffer that is used again for each group and grows to the largest one. */
function startScratch() {
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
