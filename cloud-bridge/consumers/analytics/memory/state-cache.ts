import type { PartitionState } from '../../state/state.ts'
import type { Device, Series } from '../model/active-series.ts'
import { addValues, lastOf, pieceIn } from '../model/chunk.ts'
import { joined } from '../model/complete-window.ts'
import type { Point } from '../model/partial-aggregate.ts'
import { type DeviceName, type SeriesAbout, sizes, startOf } from '../model/series.ts'
import { emptySketch, mergeInto } from '../model/sketch.ts'
import { emptyWindow } from '../model/window.ts'
import { Blocks } from './block-cache.ts'
import { Windows } from './window-cache.ts'

const SERIES_KEPT_MAX = 20_000

/**
 * What of the state of a partition is in memory: devices, and the points and windows in which their
 * series end. All that is here is as it will be committed.
 */
export class Cache {
  readonly blocks: Blocks
  readonly windows: Windows
  #series = 0
  /** By site, zone and device. */
  readonly #places = new Map<string, Map<string, Map<string, Device>>>()
  readonly #holdMaxMs: number

  constructor(state: Pick<PartitionState, 'range'>, holdMaxMs: number) {
    this.blocks = new Blocks(state)
    this.windows = new Windows(state)
    this.#holdMaxMs = holdMaxMs
  }

  /** A device that is in memory. */
  find({ site, zone, device }: DeviceName): Device | undefined {
    return this.#places.get(site)?.get(zone)?.get(device)
  }

  /** A device that is in memory from now on; one that is not new is read. */
  async device(name: DeviceName, isNew = false): Promise<Device> {
    const found = this.find(name)
    if (found) return found
    const { site, zone, device } = name
    const own: Device = {
      ...{ name: { site, zone, device }, series: new Map(), blocks: new Map() },
      ...{ latest: Number.NEGATIVE_INFINITY, endings: new Map() },
    }
    if (!isNew) await this.blocks.readLast(own)
    const zones = this.#places.get(site) ?? new Map<string, Map<string, Device>>()
    this.#places.set(site, zones)
    const devices = zones.get(zone) ?? new Map<string, Device>()
    zones.set(zone, devices)
    devices.set(device, own)
    return own
  }

  /** A series that has no points. */
  begin(owner: Device, metric: string, about: SeriesAbout): Series {
    const series: Series = {
      ...{ ...owner.name, metric, owner, about, last: null, planned: null, isNew: true },
      ...{ block: null, quarter: null, hour: null, day: null, isTold: false },
    }
    owner.series.set(metric, series)
    this.#series++
    return series
  }

  /** A listed series that is in memory from now on, with the windows in which it ends. */
  async series(owner: Device, metric: string, about: SeriesAbout): Promise<Series> {
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

  async #endOf(owner: Device, metric: string, start: number) {
    const { blocks, windows } = this
    const block = await blocks.get(owner, start)
    const quarter = block.quarters.get(metric)!
    const last = lastOf(quarter)
    const name = { ...owner.name, metric }
    const hourStart = startOf('1h', start)
    const dayStart = startOf('1d', start)
    await blocks.load(owner, hourStart, start)
    await windows.load(name, '1h', dayStart, dayStart + sizes['1d'])
    await windows.load(name, '1d', dayStart, dayStart + sizes['1d'])
    const quarters = [...blocks.of(owner, metric, hourStart, start)]
    const hours = [...windows.hours(name, dayStart, hourStart)]
    const hour =
      windows.at(name, '1h', start) ??
      emptyWindow(name, '1h', hourStart, (quarters[0] ?? quarter).before)
    const day =
      windows.at(name, '1d', start) ?? emptyWindow(name, '1d', dayStart, (hours[0] ?? hour).before)
    // An open one that has a row was told, and there may be more in it by now.
    const pieces = quarters.map(one => pieceIn(one, this.#holdMaxMs))
    Object.assign(hour, { piece: joined(pieces, this.#holdMaxMs), sketch: emptySketch() })
    for (const one of quarters) addValues(hour.sketch, one)
    const ofHours = hours.map(({ piece }) => piece)
    Object.assign(day, { piece: joined(ofHours, this.#holdMaxMs), sketch: emptySketch() })
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
export function isAtEnd(last: Point | null, { at, value }: Point): boolean {
  return !last || at > last.at || (at === last.at && value >= last.value)
}
