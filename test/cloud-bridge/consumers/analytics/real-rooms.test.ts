import { execFile, spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  apiWindowLengthMs,
  apiWindowSizes,
} from '../../../../cloud-bridge/consumers/analytics/api/query.ts'
import type { Aggregate } from '../../../../cloud-bridge/consumers/analytics/model/aggregate.ts'
import { analytics } from '../../../../cloud-bridge/consumers/catalogue.ts'
import type { SensorReading } from '../../../../config/event/sensor-reading.ts'
import { findFreePort } from '../../../../simulators/kafka/free-port.ts'
import { describeWithKafka } from '../../../setup/kafka/kafka.ts'
import { openConsumerStage, startConsumer } from '../consumer-stage.ts'
import { eachWindow, expectedSeries, expectedWindows } from './expected-windows.ts'
import { hasRooms, listRecordings, type Recording, readEvents } from './real-rooms.ts'

const run = promisify(execFile)
const script = fileURLToPath(new URL('./rooms.py', import.meta.url))
// A Python with pandas.
const python = process.env.FOREIGN_PYTHON ?? 'python3'
const hasPandas = hasRooms && spawnSync(python, ['-c', 'import pandas']).status === 0

const PARTITIONS = 4
/**
 * Of each zone every third stretch of this number of events is sent last, as a backlog, newest
 * first.
 */
const BACKLOG_EVENTS = 100
/** Sketches are within 1 % of the value. */
const SKETCH_ERROR = 0.01 + 1e-9

type Numbers = Record<string, number | null>

describeWithKafka('analytics of real rooms', () => {
  let recordings: Recording[] = []
  let events: SensorReading[] = []
  let aggregates: Map<string, Aggregate>
  let holdMaxMs = 0

  beforeAll(async () => {
    if (!hasRooms) return
    recordings = await listRecordings()
    events = (await Promise.all(recordings.map(readEvents))).flat()
    await using place = await openConsumerStage(PARTITIONS)
    holdMaxMs = place.config.consumers.analytics.holdMaxMs
    const sent = await sendAll(place, events)
    await using consumer = await startConsumer(place, analytics)
    const { runtime, key, handleRequest } = consumer
    const http = { host: '127.0.0.1', port: await findFreePort() }
    await using _ = await runtime.serve(http, key, handleRequest)
    const takenCount = () => Object.values(runtime.metrics.totals.taken).reduce((a, b) => a + b, 0)
    while (takenCount() < sent) await sleep(100)
    const { duplicate, unusable = 0, late } = runtime.metrics.totals.taken
    expect({ duplicate, unusable }).toEqual({ duplicate: sent - events.length, unusable: 0 })
    expect(late).toBeGreaterThan(0)
    aggregates = await readAll(`http://127.0.0.1:${http.port}`)
  }, 120_000)

  it.skipIf(!hasRooms)('equals a plain computation over all readings, in every window', () => {
    const expected = new Map<string, Numbers>()
    for (const size of apiWindowSizes) {
      const lengthMs = apiWindowLengthMs(size)
      const percentiles = expectedPercentiles(events, lengthMs)
      for (const [name, window] of expectedWindows(events, lengthMs, holdMaxMs)) {
        const { rise: energyKwh, positiveMs: _, ...fields } = window
        const mean = fields.count === 0 ? null : fields.sum / fields.count
        const { p50 = null, p95 = null } = percentiles.get(name) ?? {}
        expected.set(`${size} ${name}`, { ...fields, mean, energyKwh, p50, p95 })
      }
    }
    expect(differences(expected)).toEqual([])
  })

  it.skipIf(!hasPandas)(
    'equals what pandas computes of the recordings',
    async () => {
      const sizesMs = Object.fromEntries(
        apiWindowSizes.map(size => [size, apiWindowLengthMs(size)]),
      )
      const files = recordings.map(({ file, every }) => `${every}:${file}`)
      const words = [script, String(holdMaxMs), JSON.stringify(sizesMs), ...files]
      const { stdout } = await run(python, words, { maxBuffer: 2 ** 28 })
      const rows = stdout.trimEnd().split('\n')
      const expected = rows.map(row => JSON.parse(row) as [string, Numbers])
      expect(differences(new Map(expected))).toEqual([])
    },
    60_000,
  )

  /** The first differences of all windows from the expected ones. */
  function differences(expected: Map<string, Numbers>): string[] {
    const faults = [...aggregates.keys()].filter(name => !expected.has(name))
    for (const [name, numbers] of expected) {
      const aggregate = aggregates.get(name) as unknown as Numbers | undefined
      for (const [field, wanted] of Object.entries(numbers)) {
        const actual = aggregate?.[field]
        if (!isNear(actual, wanted, field)) {
          faults.push(`${name}: ${field} is ${actual} instead of ${wanted}`)
        }
      }
    }
    return faults.slice(0, 10)
  }
  afterAll(() => aggregates?.clear())
})

function isNear(
  actual: number | null | undefined,
  expected: number | null | undefined,
  field: string,
): boolean {
  if (actual == null || expected == null) return actual === expected
  if (['count', 'min', 'max', 'last'].includes(field)) return actual === expected
  const error = field.startsWith('p') ? SKETCH_ERROR : 1e-9
  return Math.abs(actual - expected) <= error * Math.max(1e-3, Math.abs(expected))
}

/** Sends live events and a backlog to two topics, some events twice; returns the record count. */
async function sendAll(
  { send, topics }: Awaited<ReturnType<typeof openConsumerStage>>,
  events: readonly SensorReading[],
): Promise<number> {
  const partitionOf = ({ zone }: SensorReading) => Number(zone) % PARTITIONS
  const isBacklog = ({ zoneSequence }: SensorReading) =>
    Math.floor(zoneSequence / BACKLOG_EVENTS) % 3 === 1
  const { live = [], backlog = [] } = Object.groupBy(events, event =>
    isBacklog(event) ? 'backlog' : 'live',
  )
  const duplicates = events.filter(({ zoneSequence }) => zoneSequence % 7 === 0)
  const later = [...backlog.reverse(), ...duplicates]
  await send(topics.readings, live, partitionOf)
  await send(topics.backfill, later, partitionOf)
  return live.length + later.length
}

/** All windows of the read API, by size, series and start, page by page. */
async function readAll(url: string): Promise<Map<string, Aggregate>> {
  const windows = new Map<string, Aggregate>()
  for (const size of apiWindowSizes) {
    const request = `${url}/api/aggregates?size=${size}&from=0&limit=10000`
    for (let next: string | null = ''; next !== null; ) {
      const response = await fetch(next ? `${request}&cursor=${next}` : request)
      const page = (await response.json()) as { aggregates: Aggregate[]; next: string | null }
      for (const aggregate of page.aggregates) {
        const { site, zone, device, metric, start } = aggregate
        const name = `${site}/${zone}/${device}/${metric}`
        windows.set(`${size} ${name} ${Date.parse(start)}`, aggregate)
      }
      next = page.next
    }
  }
  return windows
}

/** Percentiles of the lower rank, as DDSketch gives them; a minute has one reading here. */
function expectedPercentiles(events: readonly SensorReading[], sizeMs: number) {
  const percentiles = new Map<string, { p50: number; p95: number }>()
  for (const [name, points] of expectedSeries(events)) {
    eachWindow(points, sizeMs, (start, inside) => {
      const values = inside.map(({ value }) => value).sort((a, b) => a - b)
      const ranked = (fraction: number) => values[Math.floor(fraction * (values.length - 1))]!
      percentiles.set(`${name} ${start}`, { p50: ranked(0.5), p95: ranked(0.95) })
    })
  }
  return percentiles
}
