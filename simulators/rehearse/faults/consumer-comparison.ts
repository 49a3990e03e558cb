import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  apiWindowLengthMs,
  apiWindowSizes,
} from '../../../cloud-bridge/consumers/analytics/api/query.ts'
import type { Totals } from '../../../cloud-bridge/consumers/analytics/api/totals.ts'
import type { Aggregate } from '../../../cloud-bridge/consumers/analytics/model/aggregate.ts'
import { readParquet } from '../../../cloud-bridge/consumers/archive/parquet/parquet.ts'
import { verifyArchive } from '../../../cloud-bridge/consumers/archive/verification.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { decodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { fetchOnNewConnection } from '../../processes/sluice-process.ts'
import type { Stage } from '../stage/stage.ts'

const sizesMs = Object.fromEntries(apiWindowSizes.map(size => [size, apiWindowLengthMs(size)]))
const NUMBERED = 'simulated_number'
/** Sums are added up in another order. */
const CLOSE = 1e-9

export type ConsumerComparison = {
  windows: number
  archived: number
  lost: number
  countedTwice: number
  faults: string[]
}

/** How many readings analytics counts so far. */
export async function fetchAnalyticsCount(url: string): Promise<number> {
  try {
    const { metrics } = (await (await fetchOnNewConnection(`${url}/api/totals`)).json()) as Totals
    return metrics.find(({ metric }) => metric === NUMBERED)?.count ?? 0
  } catch {
    return 0 // it was killed just now
  }
}

/** How many events the archive has committed so far. */
export async function countArchivedEvents({ config }: Stage): Promise<number> {
  const proof = await verifyArchive(config.consumers.archive.dir, [])
  return proof?.partitions.reduce((sum, { events }) => sum + events, 0) ?? 0
}

/** Compares what analytics and archive have with a plain computation over what Kafka has. */
export async function compareConsumers(stage: Stage, url: string): Promise<ConsumerComparison> {
  const events = await eventsIn(stage)
  const expected = windowsBy(events.values())
  const found = await windowsAt(url)
  const faults: string[] = []
  let [lost, twice] = [0, 0]
  for (const [name, want] of expected) {
    const got = found.get(name)
    if (got && isEqual(got, want)) continue
    faults.push(`analytics: ${name} is ${shown(got)} and not ${shown(want)}`)
    lost += Math.max(0, want.count - (got?.count ?? 0))
    twice += Math.max(0, (got?.count ?? 0) - want.count)
  }
  for (const name of found.keys()) if (!expected.has(name)) faults.push(`analytics: ${name} is new`)
  const ids = await archivedIds(stage.config.consumers.archive.dir)
  const proof = await verifyArchive(stage.config.consumers.archive.dir, [])
  faults.push(...(proof?.faults ?? ['there is no archive']).map(one => `archive: ${one}`))
  const unique = new Set(ids)
  const missing = [...events.keys()].filter(id => !unique.has(id)).length
  if (missing > 0) faults.push(`archive: ${missing} of ${events.size} are missing`)
  if (ids.length > unique.size) faults.push(`archive: ${ids.length - unique.size} are there twice`)
  return {
    ...{ windows: expected.size, archived: ids.length, faults: faults.slice(0, 5) },
    lost: lost + missing,
    countedTwice: twice + ids.length - unique.size,
  }
}

/** Every event that stands in Kafka, once, by id. */
async function eventsIn({ config, brokers }: Stage): Promise<Map<string, SensorReading>> {
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

type Window = Pick<Aggregate, 'count' | 'sum' | 'min' | 'max'>

function windowsBy(events: Iterable<SensorReading>): Map<string, Window> {
  const windows = new Map<string, Window>()
  for (const { site, zone, device, receivedAt, observedAt, measurements } of events) {
    const at = observedAt ?? receivedAt
    for (const { metric, number, flag } of measurements) {
      const value = number ?? (flag === null ? null : Number(flag))
      if (value === null) continue
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

async function windowsAt(url: string): Promise<Map<string, Window>> {
  const found = new Map<string, Window>()
  for (const size of Object.keys(sizesMs)) {
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query = new URLSearchParams({ size, ...(cursor && { cursor }) })
      const answer = await fetchOnNewConnection(`${url}/api/aggregates?${query}`)
      if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
      const page = (await answer.json()) as { aggregates: Aggregate[]; next: string | null }
      for (const one of page.aggregates) {
        found.set([one.site, one.zone, one.device, one.metric, size, one.start].join('/'), one)
      }
      cursor = page.next
    }
  }
  return found
}

function isEqual(one: Window, other: Window): boolean {
  const isClose = Math.abs(one.sum - other.sum) <= CLOSE * Math.max(1, Math.abs(other.sum))
  return isClose && one.count === other.count && one.min === other.min && one.max === other.max
}

const shown = (window: Window | undefined) =>
  window ? `${window.count} values adding up to ${window.sum}` : 'missing'

async function archivedIds(dir: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true })
  const ids: string[] = []
  for (const name of names.filter(one => one.endsWith('.parquet'))) {
    for (const { event } of await readParquet(await readFile(join(dir, name)))) ids.push(event.id)
  }
  return ids
}
