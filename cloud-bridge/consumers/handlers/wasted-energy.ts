// Energy that empty rooms consume: an example of a consumer in one file.
//   ./sluice consume wasted-energy
import type { Handler } from '../runtime/keyed-handler.ts'
import { nameKey } from '../state/name-key.ts'

/**
 * The state of one zone, which this consumer treats as a room: people and meter readings by device,
 * and the energy used since the room became empty.
 */
export type Room = {
  people: Readonly<Record<string, number>>
  metersKwh: Readonly<Record<string, number>>
  emptySince: number | null
  wastedKwh: number
}

const TOPIC = 'sluice.alerts'
const ALERT_MIN_KWH = 0.05

export const handler: Handler<Room> = {
  name: 'wasted-energy',
  initial: { people: {}, metersKwh: {}, emptySince: null, wastedKwh: 0 },
  key: ({ site, zone }) => nameKey(site, zone),
  handle(room, { event, arrival }) {
    // Late readings do not show who is in the room now.
    if (arrival !== 'in order') return { state: room }
    const { site, zone, device, receivedAt, measurements } = event
    let next = room
    for (const { metric, number } of measurements) {
      if (number === null) continue
      if (metric === 'people') {
        next = { ...next, people: { ...next.people, [device]: number } }
      } else if (metric === 'energy_kwh') {
        const rise = Math.max(0, number - (next.metersKwh[device] ?? number))
        const wastedKwh = next.wastedKwh + (next.emptySince === null ? 0 : rise)
        next = { ...next, wastedKwh, metersKwh: { ...next.metersKwh, [device]: number } }
      }
    }
    const counts = Object.values(next.people)
    const isEmpty = counts.length > 0 && counts.every(count => count === 0)
    if (isEmpty) return { state: { ...next, emptySince: next.emptySince ?? receivedAt } }
    const { emptySince, wastedKwh } = next
    if (emptySince === null) return { state: next }
    const state = { ...next, emptySince: null, wastedKwh: 0 }
    if (wastedKwh < ALERT_MIN_KWH) return { state }
    const value = { kind: 'wasted energy', site, zone, from: emptySince, to: receivedAt, wastedKwh }
    return { state, effects: [{ topic: TOPIC, key: zone, value }] }
  },
}
