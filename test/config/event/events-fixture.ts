import fc from 'fast-check'
import {
  CLOCK_STATES,
  type Measurement,
  type SensorReading,
} from '../../../config/event/sensor-reading.ts'

/**
 * The event of the golden bytes. Never change this event, because stored events must stay readable.
 */
export const goldenEvent: SensorReading = {
  id: '11223344-5566-8777-8000-000000000007',
  gateway: 'gw-1',
  epoch: 123_456_789_012_345,
  sequence: 7,
  zoneSequence: 3,
  site: 'hq',
  zone: 'z 1',
  device: 'é',
  observedAt: 1_700_000_000_123,
  receivedAt: 1_700_000_000_456,
  clock: 'SYNCED',
  measurements: [
    { metric: 'co2', number: 400.5, flag: null, text: null, unit: 'ppm' },
    { metric: 'open', number: null, flag: true, text: null, unit: null },
    { metric: 'serial', number: null, flag: null, text: '9007199254740993', unit: null },
    { metric: 'nothing', number: null, flag: null, text: null, unit: null },
  ],
  source: { topic: 'building/hq/zone/z 1/sensor/é', format: 'json' },
  traceparent: null,
}

/** The golden event with the field that schema 2 added. */
export const tracedEvent: SensorReading = {
  ...goldenEvent,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
}

/** avsc accepts integers up to one less than JavaScript's largest safe integer. */
const wholeNumber = (max = Number.MAX_SAFE_INTEGER - 1) => fc.integer({ min: 0, max })
const text = fc.string({ unit: 'binary' }).map(value => value.toWellFormed())
// avsc writes times before the year -140,742 wrongly; no reading has such a time.
const time = fc.integer({ min: -(2 ** 52), max: 8.64e15 })
const noValue = { number: null, flag: null, text: null }

export const measurement: fc.Arbitrary<Measurement> = fc
  .tuple(
    fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(number => ({ ...noValue, number })),
      fc.boolean().map(flag => ({ ...noValue, flag })),
      text.map(value => ({ ...noValue, text: value })),
      fc.constant(noValue),
    ),
    text,
    fc.option(text),
  )
  .map(([value, metric, unit]) => ({ metric, ...value, unit }))

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })
const traceparent = fc
  .tuple(hex(32), hex(16), hex(2))
  .map(([trace, parent, flags]) => `00-${trace}-${parent}-${flags}`)

export const event: fc.Arbitrary<SensorReading> = fc.record({
  id: fc.uuid({ version: 8 }),
  gateway: text,
  epoch: wholeNumber(2 ** 48 - 1),
  sequence: wholeNumber(),
  zoneSequence: wholeNumber(),
  site: text,
  zone: text,
  device: text,
  observedAt: fc.option(time),
  receivedAt: time,
  clock: fc.constantFrom(...CLOCK_STATES),
  measurements: fc.array(measurement, { maxLength: 5 }),
  source: fc.record({ topic: text, format: text }),
  traceparent: fc.option(traceparent),
})
