import { createHash } from 'node:crypto'
import type { Reading } from '../../../../config/event/sensor-reading.ts'
import type { DeadLetter } from '../../../../gateway/store/notes/note-log.ts'
import { drawAt, keyOf } from '../../../building/random.ts'

const ZONES = 5
const LONG_SHARE = 0.04
const LONG_MAX_BYTES = 6000
const FIRST_MS = 1_700_000_000_000

/** The zone of a reading, computed from its number. */
export const zoneOf = (key: number, number: number) =>
  `z${Math.floor(drawAt(key, number, 1) * ZONES)}`

/**
 * The reading with a number. Key and number decide its content, so that a changed reading is
 * detected.
 */
export function readingOf(key: number, number: number): Reading {
  const zone = zoneOf(key, number)
  const isLong = drawAt(key, number, 2) < LONG_SHARE
  const text = isLong ? longText(key, number) : ''
  return {
    ...{ site: 'rehearsal', zone, device: `d${number % 3}`, observedAt: null, clock: 'SYNCED' },
    receivedAt: FIRST_MS + number,
    measurements: [
      { metric: 'number', number, flag: null, text: null, unit: null },
      { metric: 'draw', number: drawAt(key, number), flag: null, text: null, unit: 'Cel' },
      { metric: 'text', number: null, flag: null, text, unit: null },
    ],
    source: { topic: `building/rehearsal/zone/${zone}/sensor/d${number % 3}`, format: 'json' },
    traceparent: null,
  }
}

export function deadLetterOf(key: number, number: number): DeadLetter {
  const payload = Buffer.from(`${number} ${drawAt(key, number, 3)}`)
  return { reason: 'rehearsed', place: String(number), topic: 'rehearsal', payload }
}

/** The content of a note of the inbox. */
export const noteContentOf = (key: number, number: number) => ({
  number,
  draw: drawAt(key, number, 4),
})

/** The hash that distinguishes a QoS 2 message from another message with the same packet id. */
export const qos2HashOf = (number: number) => createHash('sha256').update(String(number)).digest()

/** The packet id of the QoS 2 message whose reading has this number. */
export const packetIdOf = (number: number) => (number % 65_535) + 1

export const storeKeyOf = (seed: number, store: string) => keyOf(seed, store)

// Incompressible text, so that a group occupies several pages.
function longText(key: number, number: number): string {
  const bytes = Buffer.alloc(Math.floor(drawAt(key, number, 5) * LONG_MAX_BYTES))
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    bytes.writeUInt32LE(drawAt(key, number, 6, at) * 2 ** 32, at)
  }
  return bytes.toString('base64')
}
