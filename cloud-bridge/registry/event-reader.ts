import { WIRE_FORMAT_BYTES } from '../../config/event/event-fields.ts'
import {
  createDecoder,
  decodeEvent,
  type SensorReading,
} from '../../config/event/sensor-reading.ts'
import { RegistryFault } from './faults.ts'
import { type RegistryClient, subjectOf } from './registry.ts'

export type EventReader = ReturnType<typeof createEventReader>

/**
 * Decodes events from Kafka, in either framing. The schemas of this program need no registry. With
 * a registry, events of newer programs are decoded as well, once `loadSchemas` has loaded their
 * schemas.
 */
export function createEventReader(registry: Pick<RegistryClient, 'schemasOf'> | null) {
  const decoders = new Map<number, (value: Buffer) => SensorReading>()
  return {
    hasRegistry: registry !== null,
    /** Whether the schema with this registry id is loaded. */
    hasSchema: (id: number) => decoders.has(id),
    /**
     * Loads all schemas that are registered for the topics now. Resolves with false when the
     * registry is unavailable; events of newer programs then cannot be decoded.
     */
    async loadSchemas(topics: readonly string[]): Promise<boolean> {
      try {
        for (const topic of registry ? topics : []) {
          for (const [id, schema] of await registry!.schemasOf(subjectOf(topic))) {
            const decoder = decoders.has(id) ? null : createEventDecoder(schema)
            if (decoder) decoders.set(id, decoder)
          }
        }
        return true
      } catch (error) {
        if (!(error instanceof RegistryFault)) throw error
        return false
      }
    },
    /** The event in a value, or null when the value cannot be decoded as an event. */
    read(value: Buffer): SensorReading | null {
      const isWireFormat = value.length >= WIRE_FORMAT_BYTES && value[0] === 0
      const decoder = isWireFormat ? decoders.get(value.readUInt32BE(1)) : undefined
      try {
        return (decoder ?? decodeEvent)(value)
      } catch {
        return null
      }
    },
  }
}

/** Null for a schema that is not compatible with SensorReading. */
function createEventDecoder(schema: object) {
  try {
    return createDecoder(schema)
  } catch {
    return null
  }
}
