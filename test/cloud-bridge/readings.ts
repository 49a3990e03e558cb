import type { Reading } from '../../config/event/sensor-reading.ts'

/** A reading of a zone; `text` makes it as long as a test needs it. */
export function reading(zone: string, text = ''): Reading {
  return {
    site: 'hq',
    zone,
    device: `${zone}/thermometer`,
    observedAt: null,
    receivedAt: Date.now(),
    clock: 'SYNCED',
    measurements: [{ metric: 'note', number: null, flag: null, text, unit: null }],
    source: { topic: `building/hq/zone/${zone}/sensor/thermometer`, format: 'json' },
    traceparent: null,
  }
}
