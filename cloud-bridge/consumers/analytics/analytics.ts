import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { Handling, HandlingChanges, ReceivedEvent } from '../runtime/handler.ts'
import type { PartitionState } from '../state/state.ts'
import { type AggregationState, appendPoint } from './in-order-readings.ts'
import { completeLateReadings, insertLatePoint } from './late-readings.ts'
import { DirtyRows } from './memory/dirty-rows.ts'
import { StateCache } from './memory/state-cache.ts'
import type { ActiveSeries } from './model/active-series.ts'
import { createCalendars, type SiteTimeZones } from './model/calendar.ts'
import { isInOrder, type OrderedPoint } from './model/quarter.ts'
import { BASE_MS, BASE_SIZE, quarterStartOf, type WindowSize } from './model/window-sizes.ts'
import { PartitionStatus, readStatus } from './partition-status.ts'
import { SeriesCatalogue } from './series-catalogue.ts'
import { rebuildOldLayout } from './state-layout.ts'
import { numericValueOf, seriesAttributesOf } from './time/event-time.ts'
import { type ClockOffsetSource, UnsyncedReadings } from './time/unsynced-readings.ts'
import { WindowTimers } from './time/window-timers.ts'
import { WindowPublication } from './window-publication.ts'

export type AnalyticsOptions = Partial<SiteTimeZones> & {
  /** The Kafka topic to which the aggregates are sent. */
  topic: string
  /** The window sizes that are published to the topic. */
  publish: readonly WindowSize[]
  /** How long after its end a window is published, in ms of event time. */
  latenessMs: number
  /** The largest number of series in a partition. */
  seriesMax: number
  /** The longest time for which an unsynced reading stays pending, in ms. */
  clockWaitMs: number
  /** The longest time for which a value counts when no further value follows, in ms. */
  holdMaxMs: number
  clockOffsets: ClockOffsetSource
  /** Called with the number of an event's implausible values, which are not aggregated. */
  onImplausibleValues(count: number): void
}

/** The points that an event adds to its series: `series[i]` is the series of `points[i]`. */
type EventPlan = {
  event: SensorReading
  /** Ms since 1970; an Error when impossible, null while unknown. Then `points` is empty. */
  time: number | Error | null
  series: ActiveSeries[]
  points: OrderedPoint[]
  /** How many values of the event are implausible. */
  implausible: number
}

/**
 * Creates the handling of a partition's events. Rebuilds a state with windows of other time zones,
 * or of an earlier program. Rejects while the state is unavailable.
 */
export async function createAnalytics(
  state: PartitionState,
  options: AnalyticsOptions,
): Promise<Handling> {
  const { holdMaxMs, publish, timeZone = 'UTC', siteTimeZones = [] } = options
  const calendars = createCalendars({ timeZone, siteTimeZones })
  const catalogue = await SeriesCatalogue.read(state)
  await rebuildOldLayout(state, { catalogue, calendars, holdMaxMs, publish })
  const aggregation: AggregationState = {
    cache: new StateCache(state, holdMaxMs, calendars),
    timers: await WindowTimers.read(state, publish, calendars),
    ...{ dirty: new DirtyRows(), late: new Map(), holdMaxMs },
  }
  const status = new PartitionStatus(await readStatus(state))
  return new Analytics(state, options, aggregation, catalogue, status)
}

/** Aggregates the readings of one partition into windows, and publishes the windows. */
class Analytics implements Handling {
  readonly #options: AnalyticsOptions
  readonly #state: AggregationState
  readonly #catalogue: SeriesCatalogue
  readonly #status: PartitionStatus
  readonly #publication: WindowPublication
  readonly #unsynced: UnsyncedReadings
  /** The plans of the loaded events, and how many of the plans were handled or skipped. */
  #plans: EventPlan[] = []
  #handledCount = 0
  #isCommitted = true
  /** The highest corrected gateway time of all handled events, in ms since 1970. */
  #watermark = 0

  constructor(
    state: PartitionState,
    options: AnalyticsOptions,
    aggregation: AggregationState,
    catalogue: SeriesCatalogue,
    status: PartitionStatus,
  ) {
    this.#options = options
    this.#state = aggregation
    this.#catalogue = catalogue
    this.#status = status
    this.#publication = new WindowPublication(aggregation, catalogue, options.topic)
    this.#unsynced = new UnsyncedReadings(state, options.clockOffsets, options.clockWaitMs)
  }

  async load(received: readonly ReceivedEvent[]): Promise<void> {
    // The points of a plan that was not handled do not become the last points of their series.
    for (const plan of this.#plans) {
      for (const series of plan.series) series.plannedLast = series.last
    }
    this.#plans = []
    this.#handledCount = 0
    if (this.#isCommitted) await this.#beginTransaction()
    for (const { event, record } of received) {
      const time = this.#unsynced.timeOf(event, record.appendTimeMs)
      this.#plans.push(this.#plan(event, time) ?? (await this.#readAndPlan(event, time)))
    }
  }

  handle({ event, arrival, record }: ReceivedEvent): void {
    let plan = this.#plans[this.#handledCount++]!
    while (plan.event !== event) plan = this.#plans[this.#handledCount++]!
    if (plan.time instanceof Error) throw plan.time
    this.#admitNewSeries(plan)
    this.#status.addArrival(arrival)
    if (plan.time === null) {
      this.#unsynced.add(event, record.appendTimeMs)
      this.#status.addPending(event, record.appendTimeMs)
      return
    }
    this.#aggregate(plan, plan.time)
    const offsetMs = this.#unsynced.offsetOf(event, record.appendTimeMs) ?? 0
    const gatewayTime = Math.min(event.receivedAt + offsetMs, record.appendTimeMs)
    this.#watermark = Math.max(this.#watermark, gatewayTime)
  }

  async prepareCommit(): Promise<void> {
    if (this.#state.late.size > 0) await completeLateReadings(this.#state)
  }

  drainChanges(): HandlingChanges {
    const { dirty, timers } = this.#state
    this.#isCommitted = true
    const effects = this.#publication.publishAll()
    const rows = new Map([
      ...timers.drainChanges(),
      ...this.#unsynced.drainChanges(),
      ...this.#status.drainChanges(),
    ])
    dirty.drainInto(rows)
    return { rows, effects }
  }

  /** Starts a transaction: evicts, aggregates unsynced readings, loads the windows to publish. */
  async #beginTransaction(): Promise<void> {
    this.#isCommitted = false
    const { cache, timers } = this.#state
    cache.evict((name, start) => timers.has(name, BASE_SIZE, start + BASE_MS))
    const { counted, pendingSince } = await this.#unsynced.poll(Date.now())
    for (const { event, time } of counted) {
      this.#aggregate(await this.#readAndPlan(event, time), time)
      this.#unsynced.remove(event)
      this.#status.removePending(event)
    }
    if (pendingSince) this.#status.setPendingSince(pendingSince)
    await this.#publication.loadExpired(this.#watermark - this.#options.latenessMs)
  }

  /** Plans an event. Returns null when the cache lacks a row that the event needs. */
  #plan(event: SensorReading, time: EventPlan['time']): EventPlan | null {
    const plan: EventPlan = { event, time, series: [], points: [], implausible: 0 }
    if (time instanceof Error) return plan
    const device = this.#state.cache.findDevice(event)
    const start = quarterStartOf(time ?? 0)
    // An uncached block may exist in the state, with points of the device's other series.
    if (!device || (time !== null && !device.blocks.has(start))) return null
    for (const measurement of event.measurements) {
      const value = numericValueOf(measurement)
      if (value === null) continue
      if (Number.isNaN(value)) {
        plan.implausible++
        continue
      }
      const series = device.series.get(measurement.metric)
      if (!series) return null
      plan.series.push(series)
      if (time === null) continue
      const point = { at: time, value, sequence: event.sequence }
      if (isInOrder(series.plannedLast, point)) series.plannedLast = point
      plan.points.push(point)
    }
    return plan
  }

  async #readAndPlan(event: SensorReading, time: number | Error | null): Promise<EventPlan> {
    if (!(time instanceof Error)) await this.#read(event, time)
    return this.#plan(event, time)!
  }

  /** Loads every row that an event needs into the cache. */
  async #read(event: SensorReading, time: number | null): Promise<void> {
    const { cache } = this.#state
    const listed = this.#catalogue.ofDevice(event)
    const device = cache.findDevice(event) ?? (await cache.loadDevice(event, !listed))
    if (time !== null) await cache.blocks.get(device, quarterStartOf(time))
    for (const measurement of event.measurements) {
      const { metric } = measurement
      const value = numericValueOf(measurement)
      if (value === null || Number.isNaN(value)) continue
      if (device.series.has(metric)) continue
      const attributes = listed?.get(metric)
      if (attributes) await cache.loadSeries(device, metric, attributes)
      else cache.createSeries(device, metric, seriesAttributesOf(measurement))
    }
  }

  /**
   * Adds the new series of an event to the catalogue. A pending event adds its series too, so that
   * they count before its time is known. Throws, and adds none, when the series would be too many.
   */
  #admitNewSeries({ series: all }: EventPlan): void {
    if (!all.some(({ isNew }) => isNew)) return
    const fresh = new Set(all.filter(({ isNew }) => isNew))
    const { seriesMax } = this.#options
    if (this.#catalogue.count + fresh.size > seriesMax) {
      const limit = `the partition's limit of ${seriesMax} series`
      throw new Error(`the event's new series exceed ${limit}; raise consumers.analytics.seriesMax`)
    }
    for (const series of fresh) {
      series.isNew = false
      this.#catalogue.add(series, series.attributes)
      this.#state.dirty.addNewSeries(series)
    }
  }

  #aggregate({ event, series: all, points, implausible }: EventPlan, time: number): void {
    if (implausible > 0) this.#options.onImplausibleValues(implausible)
    const isAtReceipt = this.#status.addReading(event, time)
    for (let nth = 0; nth < points.length; nth++) {
      const [series, point] = [all[nth]!, points[nth]!]
      const quarter = isInOrder(series.last, point)
        ? appendPoint(this.#state, series, point)
        : insertLatePoint(this.#state, series, point)
      if (isAtReceipt) quarter.atReceipt++
    }
  }
}
