import type { PartitionState } from '../../state/state.ts'
import type { ActiveDevice, ActiveSeries } from '../model/active-series.ts'
import { kwhPerUnit } from '../model/aggregate.ts'
import type { Calendars } from '../model/calendar.ts'
import { lastPointOf, type Quarter } from '../model/quarter.ts'
import type { DeviceName, SeriesAttributes, SeriesName } from '../model/series.ts'
import { emptyWindow, type Window } from '../model/window.ts'
import { mergeParts, type WindowPart } from '../model/window-parts.ts'
import {
  BASE_SIZE,
  type LongWindowSize,
  longWindowSizes,
  sizesBuiltFrom,
  sourceSizeOf,
} from '../model/window-sizes.ts'
import { BlockCache } from './block-cache.ts'
import { WindowCache } from './window-cache.ts'

const SERIES_KEPT_MAX = 20_000

/**
 * The part of a partition's state that is in memory: devices, series, and the points and windows
 * around each series' last point. The cache has the content that the next commit stores.
 */
export class StateCache {
  readonly blocks: BlockCache
  readonly windows: WindowCache
  #seriesCount = 0
  /** The devices in memory, by site, zone and device. */
  readonly #sites = new Map<string, Map<string, Map<string, ActiveDevice>>>()
  readonly #holdMaxMs: number
  readonly #calendars: Calendars

  constructor(state: Pick<PartitionState, 'range'>, holdMaxMs: number, calendars: Calendars) {
    this.blocks = new BlockCache(state)
    this.windows = new WindowCache(state, calendars)
    this.#holdMaxMs = holdMaxMs
    this.#calendars = calendars
  }

  /** The device, if it is in memory. */
  findDevice({ site, zone, device }: DeviceName): ActiveDevice | undefined {
    return this.#sites.get(site)?.get(zone)?.get(device)
  }

  /** Loads a device. A new device has no rows, so the state is read only for other devices. */
  async loadDevice(name: DeviceName, isNew = false): Promise<ActiveDevice> {
    const cached = this.findDevice(name)
    if (cached) return cached
    const { site, zone, device } = name
    const loaded: ActiveDevice = {
      ...{ name: { site, zone, device }, calendar: this.#calendars.of(site) },
      ...{ series: new Map(), blocks: new Map() },
      ...{ lastBlockStart: Number.NEGATIVE_INFINITY, endBlockStarts: new Map() },
    }
    if (!isNew) await this.blocks.readLast(loaded)
    const zones = this.#sites.get(site) ?? new Map<string, Map<string, ActiveDevice>>()
    this.#sites.set(site, zones)
    const devices = zones.get(zone) ?? new Map<string, ActiveDevice>()
    zones.set(zone, devices)
    devices.set(device, loaded)
    return loaded
  }

  /** Adds a series without points. */
  createSeries(owner: ActiveDevice, metric: string, attributes: SeriesAttributes): ActiveSeries {
    const series: ActiveSeries = {
      ...{ ...owner.name, metric, owner, attributes, last: null, plannedLast: null, isNew: true },
      isMeter: kwhPerUnit(metric, attributes) !== null,
      ...{ block: null, quarter: null, openWindows: new Map(), isPublished: false },
    }
    owner.series.set(metric, series)
    this.#seriesCount++
    return series
  }

  /** Loads a series of the catalogue, with the windows that contain its last point. */
  async loadSeries(
    owner: ActiveDevice,
    metric: string,
    attributes: SeriesAttributes,
  ): Promise<ActiveSeries> {
    const cached = owner.series.get(metric)
    if (cached) return cached
    const start = owner.endBlockStarts.get(metric)
    const end = start === undefined ? null : await this.#readEnd(owner, metric, start)
    const series = this.createSeries(owner, metric, attributes)
    series.isNew = false
    if (!end) return series
    end.block.endingSeries++
    return Object.assign(series, end)
  }

  /**
   * Loads the windows of all sizes that contain a moment, and the shorter windows from which those
   * windows are built.
   */
  async loadWindowsAround(name: SeriesName, moment: number): Promise<void> {
    for (const size of longWindowSizes.toReversed()) {
      const { start, end } = this.windows.boundsOf(name, size, moment)
      await this.windows.load(name, size, start, end)
      const source = sourceSizeOf(size)
      if (source !== BASE_SIZE) await this.windows.load(name, source, start, end)
    }
  }

  /**
   * The closed quarters or shorter windows from which a window is built. The caller must have
   * loaded all of them. `openQuarter` contains the last point of the series.
   */
  closedPartsOf(owner: ActiveDevice, window: Window, openQuarter: Quarter): WindowPart[] {
    const { series, size, start, end } = window
    const source = sourceSizeOf(size)
    if (source === BASE_SIZE) {
      const quarters = [...this.blocks.quartersBetween(owner, series.metric, start, end)]
      return quarters.filter(quarter => quarter !== openQuarter)
    }
    return [...this.windows.between(series, source, start, end)].filter(part => part.isClosed)
  }

  /**
   * Evicts entries that are not needed now. Call only when every change is committed: an
   * uncommitted change would be lost. `isNeededSoon` says whether a block has windows that are to
   * be published soon.
   */
  evict(isNeededSoon: (name: DeviceName, start: number) => boolean): void {
    this.blocks.evict(isNeededSoon)
    this.windows.evict()
    if (this.#seriesCount <= SERIES_KEPT_MAX) return
    // Devices and windows are evicted together: an open window must be the same object in its
    // series and in the window cache.
    this.#seriesCount = 0
    this.#sites.clear()
    this.blocks.clear()
    this.windows.clear()
  }

  /**
   * Loads the last point of a series, and the quarter and windows that contain it. The last point
   * is in the block that starts at `start`.
   */
  async #readEnd(owner: ActiveDevice, metric: string, start: number) {
    const { blocks, windows } = this
    const name = { ...owner.name, metric }
    const block = await blocks.get(owner, start)
    const quarter = block.quarters.get(metric)!
    for (const size of sizesBuiltFrom(BASE_SIZE)) {
      await blocks.load(owner, windows.boundsOf(name, size, start).start, start)
    }
    await this.loadWindowsAround(name, start)
    const openWindows = new Map<LongWindowSize, Window>()
    for (const size of longWindowSizes) {
      const source = sourceSizeOf(size)
      const openPart = source === BASE_SIZE ? quarter : openWindows.get(source)!
      const stored = windows.at(name, size, start)
      const bounds = windows.boundsOf(name, size, start)
      const window = stored ?? emptyWindow(name, size, bounds, openPart.before)
      const parts = this.closedPartsOf(owner, window, quarter)
      if (!stored && parts.length > 0) window.before = parts[0]!.before
      // The row of an open window was written when the window was published. Shorter windows may
      // have closed since.
      Object.assign(window, mergeParts(parts, this.#holdMaxMs), { isClosed: false })
      windows.add(window)
      openWindows.set(size, window)
    }
    const last = lastPointOf(quarter)
    const isPublished = [quarter, ...openWindows.values()].some(part => part.publishedCount > 0)
    return { block, quarter, last, plannedLast: last, openWindows, isPublished }
  }
}
