import { expect, it } from 'vitest'
import { defaults } from '../../../config/config.ts'
import type { Measurement } from '../../../config/event/sensor-reading.ts'
import { createFateDecision } from '../../../gateway/ingest/fate.ts'
import { extractTraceparent } from '../../../gateway/ingest/traceparent.ts'

const valid = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const co2: Measurement = { metric: 'co2', number: 400, flag: null, text: null, unit: null }
const text = (metric: string, value: string) => ({ ...co2, metric, number: null, text: value })

it('moves a traceparent out of the measurements', () => {
  const measurements = [co2, text('traceparent', valid), co2]
  expect(extractTraceparent(measurements)).toEqual({ traceparent: valid, measurements: [co2, co2] })
  expect(extractTraceparent([co2])).toEqual({ traceparent: null, measurements: [co2] })
})

it.each([
  ['no text', { ...co2, metric: 'traceparent' }],
  ['deeper in the payload', text('meta.traceparent', valid)],
  ['short', text('traceparent', valid.slice(1))],
  ['longer', text('traceparent', `${valid}-00`)],
  ['in capitals', text('traceparent', valid.toUpperCase())],
  ['of the version that may not be', text('traceparent', valid.replace('00', 'ff'))],
  ['without a trace', text('traceparent', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`)],
  [
    'without a parent',
    text('traceparent', `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`),
  ],
])('leaves a traceparent that is %s among the measurements', (_, measurement) => {
  const measurements = [co2, measurement]
  expect(extractTraceparent(measurements)).toEqual({ traceparent: null, measurements })
})

it('is read at the top of the payload of an MQTT 3.1.1 message', () => {
  const fateOf = createFateDecision(defaults.ingest)
  const payload = Buffer.from(JSON.stringify({ co2: 400, traceparent: valid }))
  const topic = 'building/hq/zone/z/sensor/d'
  expect(fateOf({ topic, payload, receivedAt: 1, clock: 'SYNCED' })).toMatchObject({
    reading: { traceparent: valid, measurements: [co2] },
  })
})
