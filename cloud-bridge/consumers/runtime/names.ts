import type { SensorReading } from '../../../config/events.ts'

/**
 * So many characters of names a key of a state has room for: at most 2400 bytes, where PostgreSQL
 * takes 2700 in an index. One that is longer would be refused for ever and hold up its partition.
 */
const NAMES_MAX_LENGTH = 800

/** Why the names of an event are too long for the keys of a state, or null. */
export function tooLong({ gateway, site, zone, device, measurements }: SensorReading) {
  const own = gateway.length + site.length + zone.length + device.length
  const length = measurements.reduce((most, { metric }) => Math.max(most, own + metric.length), own)
  if (length <= NAMES_MAX_LENGTH) return null
  return `its names have ${length} characters, and a state has room for ${NAMES_MAX_LENGTH}`
}
