import { execFile, spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { apiWindowSizes } from '../../../../cloud-bridge/consumers/analytics/api/query.ts'
import { windowLengthMs } from '../../../../cloud-bridge/consumers/analytics/api/windows.ts'
import type { Aggregate } from '../../../../cloud-bridge/consumers/analytics/model/aggregate.ts'
import { analytics } from '../../../../cloud-bridge/consumers/catalogue.ts'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { findFreePort } from '../../../../simulators/kafka/free-port.ts'
import { describeWithKafka } from '../../../setup/kafka/kafka.ts'
import { openRealPlace, startConsumer } from '../real-place.ts'
import { byHand, eachWindow, seriesByHand } from './by-hand.ts'
import { eventsOf, hasRooms, type Room, rooms } from './real-rooms.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('./rooms.py', import.meta.url))
// A Python with pandas.
const python = process.env.FOREIGN_PYTHON ?? 'python3'
const hasPandas = hasRooms && spawnSync(python, ['-c', 'import pandas']).status === 0

const PARTITIONS = 4
/** Of each zone so many events in a row are drained behind the others, the newest first. */
const DRAINED = 100
/** Sketches are within 1 % of the value. */
const SKETCHED = 0.01 + 1e-9

type Numbers = Record<string, number | null>
const compared = ['count', 'sum', 'min', 'max', 'mean', 'last', 'timeWeightedMean', 'energyKwh']

describeWithKafka('analytics of real rooms', () => {
  let all: Room[] = []
  let events: SensorReading[] = []
  let found: Map<string, Aggregate>
  let holdMaxMs = 0

  beforeAll(async () => {
    if (!hasRooms) return
    all = await rooms()
    events = (await Promise.all(all.map(eventsOf))).flat()
    await using place = await openRealPlace(PARTITIONS)
    holdMaxMs = place.config.consumers.analytics.holdMaxMs
    const sent = await sendAll(place, events)
    await using consumer = await startConsumer(place, analytics)
    const { runtime, key, answer } = consumer
    const http = { host: '127.0.0.1', port: await findFreePort() }
    await using _ = await runtime.serve(http, key, answer)
    const taken = () => Object.values(runtime.metrics.totals.taken).reduce((a, b) => a + b, 0)
    while (taken() < sent) await sleep(100)
    const { duplicate, unusable = 0, late } = runtime.metrics.totals.taken
    expect({ duplicate, unusable }).toEqual({ duplicate: sent - events.length, unusable: 0 })
    expect(late).toBeGreaterThan(0)
    found = await askAll(`http://127.0.0.1:${http.port}`)
  }, 120_000)

  it.skipIf(!hasRooms)('equals a plain computation over all readings, in every window', () => {
    const expected = new Map<string, Numbers>()
    for (const size of apiWindowSizes) {
      const percentiles = percentilesByHand(events, windowLengthMs(size))
      for (const [name, window] of byHand(events, windowLengthMs(size), holdMaxMs)) {
        const { rise: energyKwh, positiveMs: _, ...own } = window
        const mean = own.sum / own.count
        expected.set(`${size} ${name}`, { ...own, mean, energyKwh, ...percentiles.get(name) })
      }
    }
    expect(differences(expected)).toEqual([])
  })

  it.skipIf(!hasPandas)(
    'equals what pandas computes of the recordings',
    async () => {
      const what = all.map(({ file, every }) => `${every}:${file}`)
      const { stdout } = await run(python, [script, String(holdMaxMs), ...what], {
        maxBuffer: 2 ** 28,
      })
      const rows = stdout.trimEnd().split('\n')
      const expected = rows.map(row => JSON.parse(row) as [string, Numbers])
      expect(differences(new Map(expected))).toEqual([])
    },
    60_000,
  )

  /** The first of all windows that differ from what they should be, and how. */
  function differences(expected: Map<string, Numbers>): string[] {
    const faults = [...found.keys()].filter(name => !expected.has(name))
    for (const [name, numbers] of expected) {
      const aggregate = found.get(name) as unknown as Numbers | undefined
      for (const what of [...compared, 'p50', 'p95']) {
        const [is, want] = [aggregate?.[what], numbers[what]]
        if (!isNear(is, want, what)) faults.push(`${name}: ${what} is ${is} for ${want}`)
      }
    }
    return faults.slice(0, 10)
  }
  afterAll(() => found?.clear())
})

function isNear(is: number | null | undefined, want: number | null | undefined, what: string) {
  if (is == null || want == null) return is === want
  if (['count', 'min', 'max', 'last'].includes(what)) return is === want
  const part = what.startsWith('p') ? SKETCHED : 1e-9
  return Math.abs(is - want) <= part * Math.max(1e-3, Math.abs(want))
}

/** Live and drained in topics of their own, some twice; gives how many records that are. */
async function sendAll(
  { send, topics }: Awaited<ReturnType<typeof openRealPlace>>,
  events: readonly SensorReading[],
): Promise<number> {
  const partitionOf = ({ zone }: SensorReading) => Number(zone) % PARTITIONS
  const isDrained = ({ zoneSequence }: SensorReading) =>
    Math.floor(zoneSequence / DRAINED) % 3 === 1
  const { false: live = [], true: drained = [] } = Object.groupBy(events, event =>
    isDrained(event) ? 'true' : 'false',
  )
  const again = events.filter(({ zoneSequence }) => zoneSequence % 7 === 0)
  const behind = [...drained.reverse(), ...again]
  await send(topics.readings, live, partitionOf)
  await send(topics.backfill, behind, partitionOf)
  return live.length + behind.length
}

/** All windows that the read API has, by size, series and start, page by page. */
async function askAll(url: string): Promise<Map<string, Aggregate>> {
  const found = new Map<string, Aggregate>()
  for (const size of apiWindowSizes) {
    const asked = `${url}/api/aggregates?size=${size}&from=0&limit=10000`
    for (let next: string | null = ''; next !== null; ) {
      const answer = await fetch(next ? `${asked}&cursor=${next}` : asked)
      const page = (await answer.json()) as { aggregates: Aggregate[]; next: string | null }
      for (const one of page.aggregates) {
        const { site, zone, device, metric, start } = one
        found.set(`${size} ${site}/${zone}/${device}/${metric} ${Date.parse(start)}`, one)
      }
      next = page.next
    }
  }
  return found
}

/** Of the lower rank, as DDSketch gives them; a minute has one reading here. */
function percentilesByHand(events: readonly SensorReading[], sizeMs: number) {
  const found = new Map<string, { p50: number; p95: number }>()
  for (const [name, points] of seriesByHand(events)) {
    eachWindow(points, sizeMs, (start, inside) => {
      const values = inside.map(({ value }) => value).sort((one, other) => one - other)
      const ranked = (share: number) => values[Math.floor(share * (values.length - 1))]!
      found.set(`${name} ${start}`, { p50: ranked(0.5), p95: ranked(0.95) })
    })
  }
  return found
}
