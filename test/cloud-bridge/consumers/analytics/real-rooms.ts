import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'

/**
 * Recordings of real rooms, if they are stored beside the project. Their licence forbids a copy
 * here.
 */
const dir = fileURLToPath(
  new URL('../../../../../shared/data/sdh_smart_building/rooms', import.meta.url),
)
export const hasRooms = existsSync(dir)

const ROOMS = 4
/** How many rooms are read in full: every minute of a week. Of the others every 20th minute. */
const FULL_ROOMS = 1
const EVERY = 20
/** Every fourth stretch of `STRETCH_ROWS` rows arrives 5 hours later, as from an offline device. */
const STRETCH_ROWS = 300
const OFFLINE_MS = 5 * 3_600_000

/** A recording, of which every nth row is read. */
export type Recording = { file: string; every: number }

export async function listRecordings(): Promise<Recording[]> {
  const names = (await readdir(dir)).sort().slice(0, ROOMS)
  return names.map((name, at) => ({ file: `${dir}/${name}`, every: at < FULL_ROOMS ? 1 : EVERY }))
}

/**
 * The rows of a room as events, in the order in which its gateway received them. Each metric has
 * the unit of a meter, so that aggregates have its rise. The metric `counter` is the sum of all CO2
 * values so far: it never falls, so its rise needs no judgement.
 */
export async function readEvents({ file, every }: Recording): Promise<SensorReading[]> {
  const room = file.split('/').at(-1)!.replace('.csv', '')
  const [header = '', ...rows] = (await readFile(file, 'utf8')).trim().split('\n')
  const [, ...metrics] = header.split(',')
  let counter = 0
  const readings = rows.flatMap((row, at) => {
    if (at % every !== 0) return []
    const [time, ...cells] = row.split(',')
    const observedAt = Date.parse(`${time!.replace(' ', 'T')}Z`)
    const wasOffline = Math.floor(at / STRETCH_ROWS) % 4 === 1
    const receivedAt = observedAt + (wasOffline ? OFFLINE_MS : 100)
    const numbers = metrics.flatMap((metric, column) =>
      cells[column] === '' ? [] : [[metric, Number(cells[column])] as const],
    )
    const co2 = numbers.find(([metric]) => metric === 'co2')
    counter += co2?.[1] ?? 0
    if (co2) numbers.push(['counter', counter])
    const measurements = numbers.map(([metric, number]) => ({
      ...{ metric, number, flag: null, text: null, unit: 'kW.h' },
    }))
    return [{ observedAt, receivedAt, measurements }]
  })
  readings.sort((a, b) => a.receivedAt - b.receivedAt)
  return readings.map((reading, at) => ({
    ...{ ...goldenEvent, ...reading, id: `${room}-${at + 1}` },
    ...{ site: 'sdh', zone: room, device: room, zoneSequence: at + 1 },
  }))
}
