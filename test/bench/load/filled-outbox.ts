// Fills an outbox with readings, as a gateway without a bridge would do, and answers after it has
// closed the outbox. Bypasses MQTT, because a million MQTT messages would only take longer.
import type { Measurement, Reading } from '../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { FIRST_NUMBER } from './packets.ts'
import { createValues, locationOf } from './readings.ts'

export type FillOptions = {
  file: string
  events: number
  /** The age of the last event; 0 by default. */
  ageMs?: number
  /** Events per commit; by default those of a commit window of 20 ms. */
  groupEvents?: number
}

const DEVICES = 50
/** The time between two events at 2,000 events a second. */
const APART_US = 500

const { file, events, ageMs = 0, groupEvents = 40 }: FillOptions = JSON.parse(process.argv[2]!)
const startUs = (Date.now() - ageMs) * 1000 - events * APART_US
const sources = Array.from({ length: DEVICES }, (_, device) => ({
  place: locationOf(device),
  next: createValues(device),
}))
const outbox = openOutbox({ file, gateway: 'gateway' })
for (let number = 0; number < events; ) {
  const readings: Reading[] = []
  while (readings.length < groupEvents && number < events) readings.push(readingOf(number++))
  outbox.commit({ readings, deadLetters: [] })
}
outbox.close()
process.stdout.write(`${JSON.stringify({ events })}\n`)

function readingOf(number: number): Reading {
  const { place, next } = sources[number % DEVICES]!
  const { topic, ...where } = place
  const { temperature, humidity, ...rest } = next()
  const whole = { temperature: temperature / 100, humidity: humidity / 100, ...rest }
  const atUs = startUs + number * APART_US + Math.floor(Math.random() * APART_US)
  const receivedAt = Math.floor(atUs / 1000)
  const values = { bench_id: FIRST_NUMBER + number, bench_ts: atUs, ...whole }
  const measurements = Object.entries(values).map(([metric, value]) => measurement(metric, value))
  const source = { topic, format: 'json' }
  const clock = 'UNSYNCED'
  return { ...where, observedAt: null, receivedAt, clock, measurements, source, traceparent: null }
}

function measurement(metric: string, number: number): Measurement {
  return { metric, number, flag: null, text: null, unit: null }
}
