import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  apiWindowLengthMs,
  apiWindowSizes,
} from '../../../cloud-bridge/consumers/analytics/api/query.ts'
import type { Totals } from '../../../cloud-bridge/consumers/analytics/api/totals.ts'
import type { Aggregate } from '../../../cloud-bridge/consumers/analytics/model/aggregate.ts'
import { simulatorMetrics } from '../../../cloud-bridge/consumers/analytics/time/event-time.ts'
import { readParquet } from '../../../cloud-bridge/consumers/archive/parquet/parquet.ts'
import { verifyArchive } from '../../../cloud-bridge/consumers/archive/verification.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { fetchOnNewConnection } from '../../processes/sluice-process.ts'
import type { Stage } from '../stage/stage.ts'

const sizesMs = Object.fromEntries(apiWindowSizes.map(size => [size, apiWindowLengthMs(size)]))
/** The largest relative difference of two sums that were added up in different orders. */
const TOLERANCE = 1e-9

export type ConsumerComparison = {
  windows: number
  archived: number
  lost: number
  countedTwice: number
  faults: string[]
}

/** How many readings analytics has counted; 0 while the process does not respond. */
export async function fetchAnalyticsCount(url: string): Promise<number> {
  try {
    const response = await fetchOnNewConnection(`${url}/api/totals`)
    const { readings } = (await response.json()) as Totals
    return readings
  } catch {
    return 0 // The process was killed and is not ready again.
  }
}

/** How many events the archive has committed. */
export async function countArchivedEvents({ config }: Stage): Promise<number> {
  const proof = await verifyArchive(config.consumers.archive.dir, [])
  return proof?.partitions.reduce((sum, { events }) => sum + events, 0) ?? 0
}

/** Compares analytics and archive with a plain computation over all events in Kafka. */
export async function compareConsumers(stage: Stage, url: string): Promise<ConsumerComparison> {
  const events = await readEvents(stage)
  const expectedWindows = computeWindows(events.values())
  const windows = await fetchWindows(url)
  const faults: string[] = []
  let [lost, twice] = [0, 0]
  for (const [name, expected] of expectedWindows) {
    const actual = windows.get(name)
    if (actual && isEqual(actual, expected)) continue
    faults.push(`analytics: ${name} is ${windowText(actual)} and not ${windowText(expected)}`)
    lost += Math.max(0, expected.count - (actual?.count ?? 0))
    twice += Math.max(0, (actual?.count ?? 0) - expected.count)
  }
  for (const name of windows.keys())
    if (!expectedWindows.has(name)) faults.push(`analytics: ${name} has no readings in Kafka`)
  const ids = await archivedIds(stage.config.consumers.archive.dir)
  const proof = await verifyArchive(stage.config.consumers.archive.dir, [])
  faults.push(...(proof?.faults ?? ['there is no archive']).map(fault => `archive: ${fault}`))
  const unique = new Set(ids)
  const missing = [...events.keys()].filter(id => !unique.has(id)).length
  if (missing > 0) faults.push(`archive: ${missing} of ${events.size} are missing`)
  if (ids.length > unique.size)
    faults.push(`archive: ${ids.length - unique.size} are archived twice`)
  return {
    ...{ windows: expectedWindows.size, archived: ids.length, faults: faults.slice(0, 5) },
    lost: lost + missing,
    countedTwice: twice + ids.length - unique.size,
  }
}

/** All events in Kafka by their id, without duplicates. */
async function readEvents({ config, brokers }: Stage): Promise<Map<string, SensorReading>> {
  const { stream } = await createKafkaClient({ ...config.kafka, brokers })
  const { readings, backfill } = config.kafka.topics
  const events = new Map<string, SensorReading>()
  for (const [topic, { begin, end }] of await stream.topicOffsets([readings, backfill])) {
    await stream.readBetween(topic, begin, end, ({ value }) => {
      const event = decodeEvent(value)
      events.set(event.id, event)
    })
  }
  return events
}

type Window = { count: number; sum: number; min: number; max: number }

function computeWindows(events: Iterable<SensorReading>): Map<string, Window> {
  const windows = new Map<string, Window>()
  for (const { site, zone, device, receivedAt, observedAt, measurements } of events) {
    const at = observedAt ?? receivedAt
    for (const { metric, number, flag } of measurements) {
      const value = number ?? (flag === null ? null : Number(flag))
      if (value === null || simulatorMetrics.has(metric)) continue
      for (const [size, ms] of Object.entries(sizesMs)) {
        const start = new Date(Math.floor(at / ms) * ms).toISOString()
        const name = [site, zone, device, metric, size, start].join('/')
        const { count, sum, min, max } = windows.get(name) ?? EMPTY
        const bounds = { min: Math.min(min, value), max: Math.max(max, value) }
        windows.set(name, { count: count + 1, sum: sum + value, ...bounds })
      }
    }
  }
  return windows
}

const EMPTY: Window = {
  ...{ count: 0, sum: 0, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY },
}

async function fetchWindows(url: string): Promise<Map<string, Window>> {
  const windows = new Map<string, Window>()
  for (const size of Object.keys(sizesMs)) {
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query = new URLSearchParams({ size, ...(cursor && { cursor }) })
      const response = await fetchOnNewConnection(`${url}/api/aggregates?${query}`)
      if (!response.ok) {
        const reason = `${response.status}: ${await response.text()}`
        throw new Error(`analytics refused to list its windows of ${size}: ${reason}`)
      }
      const page = (await response.json()) as { aggregates: Aggregate[]; next: string | null }
      for (const aggregate of page.aggregates) {
        const { site, zone, device, metric, start, count, sum, min, max } = aggregate
        // In a window without values only the value before counts.
        if (min === null || max === null) continue
        const name = [site, zone, device, metric, size, start].join('/')
        windows.set(name, { count, sum, min, max })
      }
      cursor = page.next
    }
  }
  return windows
}

function isEqual(a: Window, b: Window): boolean {
  const isClose = Math.abs(a.sum - b.sum) <= TOLERANCE * Math.max(1, Math.abs(b.sum))
  return isClose && a.count === b.count && a.min === b.min && a.max === b.max
}

const windowText = (window: Window | undefined) =>
  window ? `${window.count} values adding up to ${window.sum}` : 'missing'

async function archivedIds(dir: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true })
  const ids: string[] = []
  for (const name of names.filter(file => file.endsWith('.parquet'))) {
    for (const { event } of await readParquet(await readFile(join(dir, name)))) ids.push(event.id)
  }
  return ids
}
