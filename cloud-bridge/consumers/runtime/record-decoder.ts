import { WIRE_FORMAT_BYTES } from '../../../config/event/event-fields.ts'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ReadRecord } from '../../ports/event-stream.ts'
import type { EventReader } from '../../registry/event-reader.ts'

/** A record that a consumer cannot use, and why. */
export type UnusableRecord = { record: ReadRecord; reason: string }

export type DecodedRecords = {
  events: { event: SensorReading; record: ReadRecord }[]
  unusable: UnusableRecord[]
}

/** The registry is away, and a record may be of a schema that only it knows. */
export class RegistryUnavailable extends Error {}

/** A schema that was not there is not asked for again so soon. */
const ASK_AGAIN_MS = 30_000

/**
 * Gives what reads the events in records. A schema that is new to us is fetched; one that nobody
 * has is a reason to put the record aside. Rejects with RegistryAway while that cannot be told.
 */
export function createRecordDecoder(reader: EventReader, topics: readonly string[]) {
  const unknownSinceMs = new Map<number, number>()
  const isWorthAsking = (id: number) =>
    performance.now() - (unknownSinceMs.get(id) ?? Number.NEGATIVE_INFINITY) > ASK_AGAIN_MS

  const learn = async (records: readonly ReadRecord[]) => {
    const ids = new Set(
      records
        .flatMap(({ value }) => schemaIdIn(value) ?? [])
        .filter(id => !reader.hasSchema(id) && isWorthAsking(id)),
    )
    if (ids.size === 0 || !reader.hasRegistry) return
    if (!(await reader.loadSchemas(topics)))
      throw new RegistryUnavailable('the schema registry is away')
    for (const id of ids) if (!reader.hasSchema(id)) unknownSinceMs.set(id, performance.now())
  }

  return async (records: readonly ReadRecord[]): Promise<DecodedRecords> => {
    const events: DecodedRecords['events'] = []
    const left: ReadRecord[] = []
    const read = (record: ReadRecord, to: ReadRecord[]) => {
      const event = reader.read(record.value)
      if (event) events.push({ event, record })
      else to.push(record)
    }
    for (const record of records) read(record, left)
    if (left.length === 0) return { events, unusable: [] }
    await learn(left)
    const still: ReadRecord[] = []
    for (const record of left) read(record, still)
    // What was read in the second go has its place among the others.
    if (still.length < left.length)
      events.sort((one, other) => one.record.offset - other.record.offset)
    return { events, unusable: still.map(record => ({ record, reason: reasonOf(record) })) }
  }
}

function schemaIdIn(value: Buffer): number | null {
  return value.length >= WIRE_FORMAT_BYTES && value[0] === 0 ? value.readUInt32BE(1) : null
}

function reasonOf({ value }: ReadRecord): string {
  try {
    decodeEvent(value)
    return 'not an event'
  } catch (error) {
    return (error as Error).message
  }
}
