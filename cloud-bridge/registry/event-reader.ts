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
 * Reads events from Kafka, in either framing. Our own schemas need no registry for it. With one, it
 * reads those of newer programs as well, whose schemas it must have learnt before.
 */
export function createEventReader(registry: Pick<RegistryClient, 'schemasOf'> | null) {
  const learnt = new Map<number, (value: Buffer) => SensorReading>()
  return {
    hasRegistry: registry !== null,
    /** Whether a schema was learnt, by its number. */
    hasSchema: (id: number) => learnt.has(id),
    /**
     * Learns every schema that topics have by now. While the registry is away, nothing, and false:
     * what is of a newer program is then not an event to us.
     */
    async loadSchemas(topics: readonly string[]): Promise<boolean> {
      try {
        for (const topic of registry ? topics : []) {
          for (const [id, schema] of await registry!.schemasOf(subjectOf(topic))) {
            const decode = learnt.has(id) ? null : decoderIn(schema)
            if (decode) learnt.set(id, decode)
          }
        }
        return true
      } catch (error) {
        if (!(error instanceof RegistryFault)) throw error
        return false
      }
    },
    /** The event in a value, or null when it is none that can be read. */
    read(value: Buffer): SensorReading | null {
      const isWireFormat = value.length >= WIRE_FORMAT_BYTES && value[0] === 0
      const decode = isWireFormat ? learnt.get(value.readUInt32BE(1)) : undefined
      try {
        return (decode ?? decodeEvent)(value)
      } catch {
        return null
      }
    },
  }
}

/** None of a schema from which an event of ours cannot be read. */
function decoderIn(schema: object) {
  try {
    return createDecoder(schema)
  } catch {
    return null
  }
}
