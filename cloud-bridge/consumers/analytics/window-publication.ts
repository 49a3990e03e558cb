import type { Effect } from '../state/state.ts'
import type { AggregationState } from './in-order-readings.ts'
import { followingInMemory } from './memory/block-cache.ts'
import { type ActiveSeries, isOpen } from './model/active-series.ts'
import { createAggregateEffect } from './model/aggregate.ts'
import {
  type CompleteWindow,
  completeLongWindow,
  completeQuarter,
  lastPointIn,
  windowWithoutPoints,
} from './model/complete-window.ts'
import type { Point } from './model/partial-aggregate.ts'
import type { Quarter } from './model/quarter.ts'
import type { Window } from './model/window.ts'
import { BASE_MS, BASE_SIZE, type WindowSize } from './model/window-sizes.ts'
import type { SeriesCatalogue } from './series-catalogue.ts'
import type { WindowTimer } from './time/window-timers.ts'

/**
 * How many timers one commit handles; a timer has the windows of a device of one size and end.
 */
const TIMERS_AT_ONCE_MAX = 2000

/**
 * Publishes the windows of a partition: each after its end, and once more when it changes. A window
 * without points is published while the value before still counts in it.
 */
export class WindowPublication {
  readonly #state: AggregationState
  readonly #catalogue: SeriesCatalogue
  readonly #topic: string
  /** The timers of the windows that the next commit publishes. */
  #expired: WindowTimer[] = []

  constructor(state: AggregationState, catalogue: SeriesCatalogue, topic: string) {
    this.#state = state
    this.#catalogue = catalogue
    this.#topic = topic
  }

  /** Loads the windows that end at `moment` (ms since 1970) or before and are to be published. */
  async loadExpired(moment: number): Promise<void> {
    const { cache, timers } = this.#state
    this.#expired = timers.expiredAt(moment, TIMERS_AT_ONCE_MAX)
    for (const { name, size, start, end } of this.#expired) {
      const device = cache.findDevice(name) ?? (await cache.loadDevice(name))
      if (size === BASE_SIZE && !device.blocks.has(start)) await cache.blocks.get(device, start)
      for (const [metric, attributes] of this.#catalogue.ofDevice(name) ?? []) {
        const series =
          device.series.get(metric) ?? (await cache.loadSeries(device, metric, attributes))
        if (size !== BASE_SIZE) await cache.windows.load(series, size, start, end)
        if (!this.#windowOf(series, size, start)) await this.#loadFollowing(series, start, end)
      }
    }
  }

  /** Publishes expired windows, and once more each published window that changed since. */
  publishAll(): Effect[] {
    const { cache, dirty, timers } = this.#state
    const effects = [...dirty.republish].map(([window, series]) => this.#publish(series, window))
    for (const timer of this.#expired) {
      const { name, size, start } = timer
      timers.remove(timer)
      for (const series of cache.findDevice(name)!.series.values()) {
        const window = this.#windowOf(series, size, start)
        const before = window ? null : this.#heldPoint(series, start)
        if (window?.publishedCount === 0) effects.push(this.#publish(series, window))
        if (before)
          effects.push(this.#effectOf(series, windowWithoutPoints(series, size, timer, before)))
      }
    }
    this.#expired = []
    return effects
  }

  #windowOf(series: ActiveSeries, size: WindowSize, start: number): Quarter | Window | null {
    if (size !== BASE_SIZE) return this.#state.cache.windows.find(series, size, start) ?? null
    return series.owner.blocks.get(start)?.quarters.get(series.metric) ?? null
  }

  /** Loads the first quarter after a window without points, which knows the last point before. */
  async #loadFollowing(series: ActiveSeries, start: number, end: number): Promise<void> {
    const { owner, metric, last, quarter } = series
    if (!last || last.at < start) return
    const isOpenNext = quarter!.start >= end && (quarter!.before?.at ?? 0) < start
    if (!isOpenNext) await this.#state.cache.blocks.followingQuarter(owner, metric, start)
  }

  /** The last point before a window without points, if its value still counts in the window. */
  #heldPoint(series: ActiveSeries, start: number): Point | null {
    const following = followingInMemory(series.owner, series.metric, start)
    const before = following ? following.before : series.last
    const isHeld = before && before.at < start && before.at + this.#state.holdMaxMs > start
    return isHeld ? before : null
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
    return this.#effectOf(series, complete)
  }

  /** The record of a window. The next window gets a timer if the last value counts in it. */
  #effectOf(series: ActiveSeries, window: CompleteWindow): Effect {
    const { cache, timers, holdMaxMs } = this.#state
    const { size, end } = window
    const last = lastPointIn(window)
    if (last && last.at + holdMaxMs > end) {
      const next =
        size === BASE_SIZE
          ? { start: end, end: end + BASE_MS }
          : cache.windows.boundsOf(series, size, end)
      timers.add(series.owner.name, size, next)
    }
    return createAggregateEffect(window, series.attributes, this.#topic, holdMaxMs)
  }
}
