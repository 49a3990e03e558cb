import type { PartitionState } from '../../state/state.ts'
import type { ActiveDevice, ActiveSeries } from '../model/active-series.ts'
import { addValuesToSketch, lastPointOf, partialAggregateOf } from '../model/chunk.ts'
import { mergeAll } from '../model/complete-window.ts'
import type { Point } from '../model/partial-aggregate.ts'
import { type DeviceName, type SeriesAbout, startOf, windowSizesMs } from '../model/series.ts'
import { emptySketch, mergeInto } from '../model/sketch.ts'
import { emptyWindow } from '../model/window.ts'
import { BlockCache } from './block-cache.ts'
import { WindowCache } from './window-cache.ts'

const SERIES_KEPT_MAX = 20_000

/**
 * What of the state of a partition is in memory: devices, and the points and windows in which their
 * series end. All that is here is as it will be committed.
 */
export class StateCache {
  readonly blocks: BlockCache
  readonly windows: WindowCache
  #series = 0
  /** By site, zone and device. */
  readonly #places = new Map<string, Map<string, Map<string, ActiveDevice>>>()
  readonly #holdMaxMs: number

  constructor(state: Pick<PartitionState, 'range'>, holdMaxMs: number) {
    this.blocks = new BlockCache(state)
    this.windows = new WindowCache(state)
    this.#holdMaxMs = holdMaxMs
  }

  /** A device that is in memory. */
  find({ site, zone, device }: DeviceName): ActiveDevice | undefined {
    return this.#places.get(site)?.get(zone)?.get(device)
  }

  /** A device that is in memory from now on; one that is not new is read. */
  async device(name: DeviceName, isNew = false): Promise<ActiveDevice> {
    const found = this.find(name)
    if (found) return found
    const { site, zone, device } = name
    const own: ActiveDevice = {
      ...{ name: { site, zone, device }, series: new Map(), blocks: new Map() },
      ...{ latest: Number.NEGATIVE_INFINITY, endings: new Map() },
    }
    if (!isNew) await this.blocks.readLast(own)
    const zones = this.#places.get(site) ?? new Map<string, Map<string, ActiveDevice>>()
    this.#places.set(site, zones)
    const devices = zones.get(zone) ?? new Map<string, ActiveDevice>()
    zones.set(zone, devices)
    devices.set(device, own)
    return own
  }

  /** A series that has no points. */
  begin(owner: ActiveDevice, metric: string, about: SeriesAbout): ActiveSeries {
    const series: ActiveSeries = {
      ...{ ...owner.name, metric, owner, about, last: null, planned: null, isNew: true },
      ...{ block: null, quarter: null, hour: null, day: null, isTold: false },
    }
    owner.series.set(metric, series)
    this.#series++
    return series
  }

  /** A listed series that is in memory from now on, with the windows in which it ends. */
  async series(owner: ActiveDevice, metric: string, about: SeriesAbout): Promise<ActiveSeries> {
    const found = owner.series.get(metric)
    if (found) return found
    const start = owner.endings.get(metric)
    const end = start === undefined ? null : await this.#endOf(owner, metric, start)
    const series = this.begin(owner, metric, about)
    series.isNew = false
    if (!end) return series
    end.block.ending++
    return Object.assign(series, end, { planned: end.last })
  }

  async #endOf(owner: ActiveDevice, metric: string, start: number) {
    const { blocks, windows } = this
    const block = await blocks.get(owner, start)
    const quarter = block.quarters.get(metric)!
    const last = lastPointOf(quarter)
    const name = { ...owner.name, metric }
    const hourStart = startOf('1h', start)
    const dayStart = startOf('1d', start)
    await blocks.load(owner, hourStart, start)
    await windows.load(name, '1h', dayStart, dayStart + windowSizesMs['1d'])
    await windows.load(name, '1d', dayStart, dayStart + windowSizesMs['1d'])
    const quarters = [...blocks.of(owner, metric, hourStart, start)]
    const hours = [...windows.hours(name, dayStart, hourStart)]
    const hour =
      windows.at(name, '1h', start) ??
      emptyWindow(name, '1h', hourStart, (quarters[0] ?? quarter).before)
    const day =
      windows.at(name, '1d', start) ?? emptyWindow(name, '1d', dayStart, (hours[0] ?? hour).before)
    // An open one that has a row was told, and there may be more in it by now.
    const pieces = quarters.map(one => partialAggregateOf(one, this.#holdMaxMs))
    Object.assign(hour, { piece: mergeAll(pieces, this.#holdMaxMs), sketch: emptySketch() })
    for (const one of quarters) addValuesToSketch(hour.sketch, one)
    const ofHours = hours.map(({ piece }) => piece)
    Object.assign(day, { piece: mergeAll(ofHours, this.#holdMaxMs), sketch: emptySketch() })
    for (const { sketch } of hours) mergeInto(day.sketch, sketch)
    for (const window of [hour, day]) {
      window.isLeft = false
      windows.keep(window)
    }
    const isTold = quarter.told + hour.told + day.told > 0
    return { last, block, quarter, hour, day, isTold }
  }

  /**
   * To be called when all is committed: lets go of what is not needed now. `isDue` tells of blocks
   * that are needed soon.
   */
  shrink(isDue: (name: DeviceName, start: number) => boolean): void {
    this.blocks.shrink(isDue)
    this.windows.shrink()
    if (this.#series <= SERIES_KEPT_MAX) return
    // Together, because an open window must be the same object everywhere.
    this.#series = 0
    this.#places.clear()
    this.blocks.clear()
    this.windows.clear()
  }
}

/** Whether a point goes behind the last one of its series. */
export function isInOrder(last: Point | null, { at, value }: Point): boolean {
  return !last || at > last.at || (at === last.at && value >= last.value)
}
