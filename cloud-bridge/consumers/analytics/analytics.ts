import type { SensorReading } from '../../../config/event/sensor-reading.ts'
import type { Handling, HandlingChanges, ReceivedEvent } from '../runtime/handler.ts'
import { keysWithPrefix, partsOf } from '../state/row-keys.ts'
import type { Effect, PartitionState } from '../state/state.ts'
import { type AggregationState, appendPoint } from './in-order-readings.ts'
import { insertLatePoint, loadForInsert } from './late-readings.ts'
import { DirtyRows } from './memory/dirty-rows.ts'
import { isInOrder, StateCache } from './memory/state-cache.ts'
import type { ActiveSeries } from './model/active-series.ts'
import { createAggregateEffect } from './model/aggregate.ts'
import type { Quarter } from './model/chunk.ts'
import { completeLongWindow, completeQuarter } from './model/complete-window.ts'
import type { Point } from './model/partial-aggregate.ts'
import {
  deviceKey,
  type SeriesAbout,
  type SeriesName,
  startOf,
  type WindowSize,
} from './model/series.ts'
import type { Window } from './model/window.ts'
import { numericValueOf, seriesAboutOf } from './time/event-time.ts'
import { type ClockOffsetSource, UnsyncedReadings } from './time/unsynced-readings.ts'
import { type WindowTimer, WindowTimers } from './time/window-timers.ts'

export type AnalyticsOptions = {
  /** Where windows are told. */
  topic: string
  publish: readonly WindowSize[]
  latenessMs: number
  seriesMax: number
  clockWaitMs: number
  holdMaxMs: number
  corrections: ClockOffsetSource
  /** Values that no sensor means. */
  onAbsurd(count: number): void
}

/** Windows of so many devices are told at once. */
const TOLD_AT_ONCE_MAX = 2000

/** All series of a partition, by device and metric. */
type Listed = Map<string, Map<string, SeriesAbout>>

/** What an event comes to: its points, each with its series. */
type Plan = {
  event: SensorReading
  /** When it was: an Error where that is impossible, null while unknown; then it has no points. */
  time: number | Error | null
  series: ActiveSeries[]
  points: Point[]
  /** How many values it has that no sensor means. */
  absurd: number
}

/** Reads what the work on a partition begins with. Rejects while the state is away. */
export async function createAnalytics(
  state: PartitionState,
  options: AnalyticsOptions,
): Promise<Handling> {
  const listed: Listed = new Map()
  for (const { key, value } of await state.range(keysWithPrefix('series'))) {
    const [, site, zone, device, metric] = partsOf(key) as [string, ...string[]]
    const name = { site: site!, zone: zone!, device: device!, metric: metric! }
    list(listed, name, JSON.parse(value.toString()))
  }
  return new Analytics(state, options, listed, await WindowTimers.read(state, options.publish))
}

/** Readings become points, points windows, windows results; on the state of one partition. */
class Analytics implements Handling {
  readonly #options: AnalyticsOptions
  readonly #place: AggregationState
  readonly #listed: Listed
  #count: number
  readonly #held: UnsyncedReadings
  /** What was loaded, and how much of it was handled. */
  #plans: Plan[] = []
  #taken = 0
  #isCommitted = true
  #telling: WindowTimer[] = []
  /** Up to when the gateways' time has come. */
  #watermark = 0

  constructor(state: PartitionState, options: AnalyticsOptions, listed: Listed, due: WindowTimers) {
    const { holdMaxMs, corrections, clockWaitMs } = options
    this.#options = options
    const cache = new StateCache(state, holdMaxMs)
    this.#place = { cache, changed: new DirtyRows(), due, holdMaxMs }
    this.#listed = listed
    this.#count = [...listed.values()].reduce((sum, { size }) => sum + size, 0)
    this.#held = new UnsyncedReadings(state, corrections, clockWaitMs)
  }

  async load(arrived: readonly ReceivedEvent[]): Promise<void> {
    // What was planned and not taken is where no series ends.
    for (const { series } of this.#plans) for (const one of series) one.planned = one.last
    this.#plans = []
    this.#taken = 0
    if (this.#isCommitted) await this.#begin()
    for (const { event, record } of arrived) {
      const time = this.#held.timeOf(event, record.appendTimeMs)
      this.#plans.push(this.#plan(event, time) ?? (await this.#readAndPlan(event, time)))
    }
  }

  handle({ event, record }: ReceivedEvent): void {
    let plan = this.#plans[this.#taken++]!
    while (plan.event !== event) plan = this.#plans[this.#taken++]!
    if (plan.time instanceof Error) throw plan.time
    this.#admit(plan)
    if (plan.time === null) {
      this.#held.hold(event, record.appendTimeMs)
      return
    }
    this.#put(plan)
    const received = event.receivedAt + (this.#held.offsetOf(event, record.appendTimeMs) ?? 0)
    this.#watermark = Math.max(this.#watermark, Math.min(received, record.appendTimeMs))
  }

  takeChanges(): HandlingChanges {
    const { changed, due } = this.#place
    this.#isCommitted = true
    const effects = this.#tellAll()
    const rows = new Map([...due.takeChanges(), ...this.#held.takeChanges()])
    changed.takeRows(rows)
    return { rows, effects }
  }

  /** What is to be done once in a transaction. */
  async #begin(): Promise<void> {
    this.#isCommitted = false
    const { cache, due } = this.#place
    cache.shrink((name, start) => due.has(name, '15m', start))
    for (const { event, time } of await this.#held.due(Date.now())) {
      this.#put(await this.#readAndPlan(event, time))
      this.#held.release(event)
    }
    await this.#loadDue()
  }

  /**
   * What an event comes to; null when not all is in memory that it needs. `isRead` says that what a
   * late point needs was read.
   */
  #plan(event: SensorReading, time: Plan['time'], isRead = false): Plan | null {
    const plan: Plan = { event, time, series: [], points: [], absurd: 0 }
    if (time instanceof Error) return plan
    const device = this.#place.cache.find(event)
    const start = startOf('15m', time ?? 0)
    // Another series of the device may have been in that quarter.
    if (!device || (time !== null && !device.blocks.has(start))) return null
    for (const measurement of event.measurements) {
      const value = numericValueOf(measurement)
      if (value === null) continue
      if (Number.isNaN(value)) {
        plan.absurd++
        continue
      }
      const series = device.series.get(measurement.metric)
      if (!series) return null
      plan.series.push(series)
      if (time === null) continue
      const point = { at: time, value }
      if (isInOrder(series.planned, point)) series.planned = point
      else if (!isRead && start < startOf('15m', series.planned!.at)) return null
      plan.points.push(point)
    }
    return plan
  }

  /** Reads what an event needs, and plans it. */
  async #readAndPlan(event: SensorReading, time: number | Error | null): Promise<Plan> {
    if (!(time instanceof Error)) await this.#read(event, time)
    return this.#plan(event, time, true)!
  }

  async #read(event: SensorReading, time: number | null): Promise<void> {
    const { cache } = this.#place
    const listed = this.#listed.get(deviceKey(event))
    const device = cache.find(event) ?? (await cache.device(event, !listed))
    if (time !== null) await cache.blocks.get(device, startOf('15m', time))
    for (const measurement of event.measurements) {
      const { metric } = measurement
      const value = numericValueOf(measurement)
      if (value === null || Number.isNaN(value)) continue
      const about = listed?.get(metric)
      const series =
        device.series.get(metric) ??
        (about
          ? await cache.series(device, metric, about)
          : cache.begin(device, metric, seriesAboutOf(measurement)))
      if (time === null || isInOrder(series.planned, { at: time, value })) continue
      await loadForInsert(cache, series, time)
    }
  }

  /**
   * Lists the series that an event begins, so that what is held has room when it counts. Throws,
   * listing none, when there would be too many.
   */
  #admit({ series }: Plan): void {
    if (!series.some(({ isNew }) => isNew)) return
    const fresh = new Set(series.filter(({ isNew }) => isNew))
    const { seriesMax } = this.#options
    if (this.#count + fresh.size > seriesMax) {
      throw new Error(`its partition has ${seriesMax} series (consumers.analytics.seriesMax)`)
    }
    for (const one of fresh) {
      one.isNew = false
      list(this.#listed, one, one.about)
      this.#count++
      this.#place.changed.begun(one)
    }
  }

  #put({ series, points, absurd }: Plan): void {
    if (absurd > 0) this.#options.onAbsurd(absurd)
    for (let nth = 0; nth < points.length; nth++) {
      const [one, point] = [series[nth]!, points[nth]!]
      if (isInOrder(one.last, point)) appendPoint(this.#place, one, point)
      else insertLatePoint(this.#place, one, point)
    }
  }

  async #loadDue(): Promise<void> {
    const { cache, due } = this.#place
    this.#telling = due.before(this.#watermark - this.#options.latenessMs, TOLD_AT_ONCE_MAX)
    for (const { name, size, start } of this.#telling) {
      const device = cache.find(name) ?? (await cache.device(name))
      if (size === '15m' && !device.blocks.has(start)) await cache.blocks.get(device, start)
      for (const [metric, about] of this.#listed.get(deviceKey(name))!) {
        const series = device.series.get(metric) ?? (await cache.series(device, metric, about))
        if (size !== '15m') await cache.windows.load(series, size, start, start + 1)
      }
    }
  }

  /** What is due, and what was told before and has changed since. */
  #tellAll(): Effect[] {
    const { cache, changed, due } = this.#place
    const effects = [...changed.retold].map(([one, series]) => this.#tell(series, one))
    for (const { name, size, start, ...rest } of this.#telling) {
      due.done({ name, size, start, ...rest })
      const device = cache.find(name)!
      for (const series of device.series.values()) {
        const one =
          size === '15m'
            ? device.blocks.get(start)!.quarters.get(series.metric)
            : cache.windows.find(series, size, start)
        if (!one || one.told > 0) continue
        effects.push(this.#tell(series, one))
      }
    }
    this.#telling = []
    return effects
  }

  #tell(series: ActiveSeries, one: Quarter | Window): Effect {
    const { changed, holdMaxMs } = this.#place
    one.told++
    if (one === series.quarter || one === series.hour || one === series.day) series.isTold = true
    if ('at' in one) changed.block(series.owner, series.owner.blocks.get(one.start)!)
    else changed.window(one)
    const whole =
      'at' in one
        ? completeQuarter(series, one, holdMaxMs)
        : completeLongWindow(one, series, holdMaxMs)
    return createAggregateEffect(whole, series.about, this.#options.topic, holdMaxMs)
  }
}

function list(listed: Listed, name: SeriesName, about: SeriesAbout): void {
  const key = deviceKey(name)
  const own = listed.get(key) ?? new Map<string, SeriesAbout>()
  listed.set(key, own)
  own.set(name.metric, about)
}
