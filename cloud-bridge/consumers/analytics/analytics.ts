import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { Handling, HandlingChanges, ReceivedEvent } from '../runtime/handler.ts'
import { keysWithPrefix, partsOf } from '../state/row-keys.ts'
import type { Effect, PartitionState } from '../state/state.ts'
import { type AggregationState, appendPoint } from './in-order-readings.ts'
import { insertLatePoint, loadForInsert } from './late-readings.ts'
import { DirtyRows } from './memory/dirty-rows.ts'
import { isInOrder, StateCache } from './memory/state-cache.ts'
import { type ActiveSeries, isOpen } from './model/active-series.ts'
import { createAggregateEffect } from './model/aggregate.ts'
import { completeLongWindow, completeQuarter } from './model/complete-window.ts'
import type { Point } from './model/partial-aggregate.ts'
import type { Quarter } from './model/quarter.ts'
import { deviceKey, type SeriesAttributes, type SeriesName } from './model/series.ts'
import type { Window } from './model/window.ts'
import { BASE_SIZE, type WindowSize, windowStartOf } from './model/window-sizes.ts'
import { numericValueOf, seriesAttributesOf } from './time/event-time.ts'
import { type ClockOffsetSource, UnsyncedReadings } from './time/unsynced-readings.ts'
import { type WindowTimer, WindowTimers } from './time/window-timers.ts'

export type AnalyticsOptions = {
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

/**
 * How many timers one commit handles; a timer has the windows of a device of one size and start.
 */
const TIMERS_AT_ONCE_MAX = 2000

/** The attributes of all series of a partition, by device key and metric. */
type SeriesCatalogue = Map<string, Map<string, SeriesAttributes>>

/** The points that an event adds to its series: `series[i]` is the series of `points[i]`. */
type EventPlan = {
  event: SensorReading
  /** Ms since 1970; an Error when impossible, null while unknown. Then `points` is empty. */
  time: number | Error | null
  series: ActiveSeries[]
  points: Point[]
  /** How many values of the event are implausible. */
  implausible: number
}

/** Creates the handling of a partition's events. Rejects while the state is unavailable. */
export async function createAnalytics(
  state: PartitionState,
  options: AnalyticsOptions,
): Promise<Handling> {
  const catalogue: SeriesCatalogue = new Map()
  for (const { key, value } of await state.range(keysWithPrefix('series'))) {
    const [, site, zone, device, metric] = partsOf(key) as [string, ...string[]]
    const name = { site: site!, zone: zone!, device: device!, metric: metric! }
    addToCatalogue(catalogue, name, JSON.parse(value.toString()))
  }
  const timers = await WindowTimers.read(state, options.publish)
  return new Analytics(state, options, catalogue, timers)
}

/** Aggregates the readings of one partition into windows, and publishes the windows. */
class Analytics implements Handling {
  readonly #options: AnalyticsOptions
  readonly #state: AggregationState
  readonly #catalogue: SeriesCatalogue
  #seriesCount: number
  readonly #unsynced: UnsyncedReadings
  /** The plans of the loaded events, and how many of the plans were handled or skipped. */
  #plans: EventPlan[] = []
  #handledCount = 0
  #isCommitted = true
  /** The timers of the windows that the next commit publishes. */
  #expiredTimers: WindowTimer[] = []
  /** The highest corrected gateway time of all handled events, in ms since 1970. */
  #watermark = 0

  constructor(
    state: PartitionState,
    options: AnalyticsOptions,
    catalogue: SeriesCatalogue,
    timers: WindowTimers,
  ) {
    const { holdMaxMs, clockOffsets, clockWaitMs } = options
    this.#options = options
    const cache = new StateCache(state, holdMaxMs)
    this.#state = { cache, dirty: new DirtyRows(), timers, holdMaxMs }
    this.#catalogue = catalogue
    this.#seriesCount = [...catalogue.values()].reduce((sum, { size }) => sum + size, 0)
    this.#unsynced = new UnsyncedReadings(state, clockOffsets, clockWaitMs)
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

  handle({ event, record }: ReceivedEvent): void {
    let plan = this.#plans[this.#handledCount++]!
    while (plan.event !== event) plan = this.#plans[this.#handledCount++]!
    if (plan.time instanceof Error) throw plan.time
    this.#admitNewSeries(plan)
    if (plan.time === null) {
      this.#unsynced.add(event, record.appendTimeMs)
      return
    }
    this.#aggregate(plan)
    const offsetMs = this.#unsynced.offsetOf(event, record.appendTimeMs) ?? 0
    const gatewayTime = Math.min(event.receivedAt + offsetMs, record.appendTimeMs)
    this.#watermark = Math.max(this.#watermark, gatewayTime)
  }

  drainChanges(): HandlingChanges {
    const { dirty, timers } = this.#state
    this.#isCommitted = true
    const effects = this.#publishAll()
    const rows = new Map([...timers.drainChanges(), ...this.#unsynced.drainChanges()])
    dirty.drainInto(rows)
    return { rows, effects }
  }

  /** Starts a transaction: evicts, aggregates unsynced readings, loads the windows to publish. */
  async #beginTransaction(): Promise<void> {
    this.#isCommitted = false
    const { cache, timers } = this.#state
    cache.evict((name, start) => timers.has(name, BASE_SIZE, start))
    for (const { event, time } of await this.#unsynced.poll(Date.now())) {
      this.#aggregate(await this.#readAndPlan(event, time))
      this.#unsynced.remove(event)
    }
    await this.#loadExpired()
  }

  /**
   * Plans an event. Returns null when the cache lacks a row that the event needs. `isRead`: `#read`
   * has loaded the rows that late points need.
   */
  #plan(event: SensorReading, time: EventPlan['time'], isRead = false): EventPlan | null {
    const plan: EventPlan = { event, time, series: [], points: [], implausible: 0 }
    if (time instanceof Error) return plan
    const device = this.#state.cache.findDevice(event)
    const start = windowStartOf(BASE_SIZE, time ?? 0)
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
      const point = { at: time, value }
      if (isInOrder(series.plannedLast, point)) series.plannedLast = point
      else if (!isRead && start < windowStartOf(BASE_SIZE, series.plannedLast!.at)) return null
      plan.points.push(point)
    }
    return plan
  }

  async #readAndPlan(event: SensorReading, time: number | Error | null): Promise<EventPlan> {
    if (!(time instanceof Error)) await this.#read(event, time)
    return this.#plan(event, time, true)!
  }

  /** Loads every row that an event needs into the cache. */
  async #read(event: SensorReading, time: number | null): Promise<void> {
    const { cache } = this.#state
    const listed = this.#catalogue.get(deviceKey(event))
    const device = cache.findDevice(event) ?? (await cache.loadDevice(event, !listed))
    if (time !== null) await cache.blocks.get(device, windowStartOf(BASE_SIZE, time))
    for (const measurement of event.measurements) {
      const { metric } = measurement
      const value = numericValueOf(measurement)
      if (value === null || Number.isNaN(value)) continue
      const attributes = listed?.get(metric)
      const series =
        device.series.get(metric) ??
        (attributes
          ? await cache.loadSeries(device, metric, attributes)
          : cache.createSeries(device, metric, seriesAttributesOf(measurement)))
      if (time === null || isInOrder(series.plannedLast, { at: time, value })) continue
      await loadForInsert(cache, series, time)
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
    if (this.#seriesCount + fresh.size > seriesMax) {
      const limit = `the partition's limit of ${seriesMax} series`
      throw new Error(`the event's new series exceed ${limit}; raise consumers.analytics.seriesMax`)
    }
    for (const series of fresh) {
      series.isNew = false
      addToCatalogue(this.#catalogue, series, series.attributes)
      this.#seriesCount++
      this.#state.dirty.addNewSeries(series)
    }
  }

  #aggregate({ series: all, points, implausible }: EventPlan): void {
    if (implausible > 0) this.#options.onImplausibleValues(implausible)
    for (let nth = 0; nth < points.length; nth++) {
      const [series, point] = [all[nth]!, points[nth]!]
      if (isInOrder(series.last, point)) appendPoint(this.#state, series, point)
      else insertLatePoint(this.#state, series, point)
    }
  }

  async #loadExpired(): Promise<void> {
    const { cache, timers } = this.#state
    const { latenessMs } = this.#options
    this.#expiredTimers = timers.expiredAt(this.#watermark - latenessMs, TIMERS_AT_ONCE_MAX)
    for (const { name, size, start } of this.#expiredTimers) {
      const device = cache.findDevice(name) ?? (await cache.loadDevice(name))
      if (size === BASE_SIZE && !device.blocks.has(start)) await cache.blocks.get(device, start)
      for (const [metric, attributes] of this.#catalogue.get(deviceKey(name))!) {
        const series =
          device.series.get(metric) ?? (await cache.loadSeries(device, metric, attributes))
        if (size !== BASE_SIZE) await cache.windows.load(series, size, start, start + 1)
      }
    }
  }

  /** Publishes expired windows, and once more each published window that changed since. */
  #publishAll(): Effect[] {
    const { cache, dirty, timers } = this.#state
    const effects = [...dirty.republish].map(([window, series]) => this.#publish(series, window))
    for (const timer of this.#expiredTimers) {
      const { name, size, start } = timer
      timers.remove(timer)
      const device = cache.findDevice(name)!
      for (const series of device.series.values()) {
        const window =
          size === BASE_SIZE
            ? device.blocks.get(start)!.quarters.get(series.metric)
            : cache.windows.find(series, size, start)
        if (!window || window.publishedCount > 0) continue
        effects.push(this.#publish(series, window))
      }
    }
    this.#expiredTimers = []
    return effects
  }

  #publish(series: ActiveSeries, window: Quarter | Window): Effect {
    const { dirty, holdMaxMs } = this.#state
    window.publishedCount++
    if (isOpen(series, window)) series.isPublished = true
    const isQuarter = 'times' in window
    if (isQuarter) dirty.addBlock(series.owner, series.owner.blocks.get(window.start)!)
    else dirty.addWindow(window)
    const complete = isQuarter
      ? completeQuarter(series, window, holdMaxMs)
      : completeLongWindow(window, series, holdMaxMs)
    return createAggregateEffect(complete, series.attributes, this.#options.topic, holdMaxMs)
  }
}

function addToCatalogue(
  catalogue: SeriesCatalogue,
  name: SeriesName,
  attributes: SeriesAttributes,
): void {
  const key = deviceKey(name)
  const metrics = catalogue.get(key) ?? new Map<string, SeriesAttributes>()
  catalogue.set(key, metrics)
  metrics.set(name.metric, attributes)
}
