// Fills an outbox with readings, as a gateway would that had no bridge for a while. Answers when it
// is closed. Not through MQTT, because a million messages would only take longer.
import type { Measurement, Reading } from '../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { FIRST_NUMBER } from './packets.ts'
import { placeOf, startValues } from './readings.ts'

export type FillOptions = {
  file: string
  events: number
  /** How long ago the last one was received; 0 if left out. */
  ageMs?: number
  /** How many were committed together; if left out, what comes in a commit window of 20 ms. */
  groupEvents?: number
}

const DEVICES = 50
/** As if 2000 had come in a second. */
const APART_US = 500

const { file, events, ageMs = 0, groupEvents = 40 }: FillOptions = JSON.parse(process.argv[2]!)
const startUs = (Date.now() - ageMs) * 1000 - events * APART_US
const sources = Array.from({ length: DEVICES }, (_, device) => ({
  place: placeOf(device),
  next: startValues(device),
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
