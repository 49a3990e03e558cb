import { WIRE_FORMAT_BYTES } from '../../../config/event/event-fields.ts'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import type { ReadRecord } from '../../ports/event-stream.ts'
import type { EventReader } from '../../registry/event-reader.ts'

/** A record that a consumer cannot process, and why. */
export type UnusableRecord = {
  record: ReadRecord
  reason: string
  /** The error of the handler; absent when the record is no event. */
  error?: Error
}

export type DecodedRecords = {
  events: { event: SensorReading; record: ReadRecord }[]
  unusable: UnusableRecord[]
}

/**
 * The schema registry is unavailable, and a record can have a schema that only the registry has.
 */
export class RegistryUnavailable extends Error {}

/** An unknown schema is requested from the registry again after this number of ms. */
const UNKNOWN_SCHEMA_RETRY_MS = 30_000

/**
 * Returns a function that decodes the events in records. It loads new schemas from the registry; a
 * record whose schema the registry does not have is unusable. Rejects with RegistryUnavailable
 * while the registry cannot say whether it has the schema.
 */
export function createRecordDecoder(reader: EventReader, topics: readonly string[]) {
  const unknownSinceMs = new Map<number, number>()
  const isWorthAsking = (schemaId: number) =>
    performance.now() - (unknownSinceMs.get(schemaId) ?? Number.NEGATIVE_INFINITY) >
    UNKNOWN_SCHEMA_RETRY_MS

  const loadSchemasOf = async (records: readonly ReadRecord[]) => {
    const ids = new Set(
      records
        .flatMap(({ value }) => schemaIdIn(value) ?? [])
        .filter(id => !reader.hasSchema(id) && isWorthAsking(id)),
    )
    if (ids.size === 0 || !reader.hasRegistry) return
    if (!(await reader.loadSchemas(topics))) {
      const fault = `schema ${[...ids].join(', ')} of a record is unknown`
      throw new RegistryUnavailable(`${fault}, and the schema registry is unavailable`)
    }
    for (const id of ids) if (!reader.hasSchema(id)) unknownSinceMs.set(id, performance.now())
  }

  return async (records: readonly ReadRecord[]): Promise<DecodedRecords> => {
    const events: DecodedRecords['events'] = []
    const decode = (candidates: readonly ReadRecord[]): ReadRecord[] =>
      candidates.filter(record => {
        const event = reader.read(record.value)
        if (event) events.push({ event, record })
        return event === null
      })
    const undecoded = decode(records)
    if (undecoded.length === 0) return { events, unusable: [] }
    await loadSchemasOf(undecoded)
    const unusable = decode(undecoded)
    // Restores the order of offsets after the second attempt.
    if (unusable.length < undecoded.length) {
      events.sort((a, b) => a.record.offset - b.record.offset)
    }
    return { events, unusable: unusable.map(record => ({ record, reason: reasonOf(record) })) }
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
