import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'

/** Real rooms lie beside the project where they may; their licence keeps them out of it. */
const dir = fileURLToPath(
  new URL('../../../../../shared/data/sdh_smart_building/rooms', import.meta.url),
)
export const hasRooms = existsSync(dir)

const ROOMS = 10
/** One room is taken whole, minute by minute for a week, of the others every twentieth minute. */
const WHOLE = 1
const EVERY = 20
/** So many rows of a room are told at once hours later, as by a device that was out of reach. */
const STRETCH = 300
const AWAY_MS = 5 * 3_600_000

/** A recording, and of how many of its rows one is taken. */
export type Room = { file: string; every: number }

export async function rooms(): Promise<Room[]> {
  const names = (await readdir(dir)).sort().slice(0, ROOMS)
  return names.map((name, at) => ({ file: `${dir}/${name}`, every: at < WHOLE ? 1 : EVERY }))
}

/**
 * The rows of a room as its gateway took them, in the order in which it did. Each metric has the
 * unit of a meter, so that what it rises by is told.
 */
export async function eventsOf({ file, every }: Room): Promise<SensorReading[]> {
  const room = file.split('/').at(-1)!.replace('.csv', '')
  const [header = '', ...rows] = (await readFile(file, 'utf8')).trim().split('\n')
  const [, ...metrics] = header.split(',')
  const readings = rows.flatMap((row, at) => {
    if (at % every !== 0) return []
    const [time, ...cells] = row.split(',')
    const observedAt = Date.parse(`${time!.replace(' ', 'T')}Z`)
    const wasAway = Math.floor(at / STRETCH) % 4 === 1
    const receivedAt = observedAt + (wasAway ? AWAY_MS : 100)
    const measurements = cells.flatMap((cell, column) => {
      const value = { number: Number(cell), flag: null, text: null, unit: 'kW.h' }
      return cell === '' ? [] : [{ metric: metrics[column]!, ...value }]
    })
    return [{ observedAt, receivedAt, measurements }]
  })
  readings.sort((one, other) => one.receivedAt - other.receivedAt)
  return readings.map((reading, at) => ({
    ...{ ...goldenEvent, ...reading, id: `${room}-${at + 1}` },
    ...{ site: 'sdh', zone: room, device: room, zoneSequence: at + 1 },
  }))
}
