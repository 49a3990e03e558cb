import type { Measurement, SensorReading } from '../../../config/events.ts'
import type { Arrived, Handling, Outcome } from '../runtime/stateful.ts'
import { within } from '../state/keys.ts'
import type { Effect, PartitionState } from '../state/state.ts'
import type { Series } from './at-work.ts'
import { type Bundle, forgetRow, minuteIn, minuteKey, rowAt } from './bundle.ts'
import { Cache, isAtEnd } from './cache.ts'
import { Changed } from './changed.ts'
import { type Due, DueWindows } from './due.ts'
import { type Corrections, HeldReadings } from './held.ts'
import { insertLate, loadSurroundings, type Surroundings } from './late.ts'
import { append, type Point, pieceOf } from './piece.ts'
import { aboutOf, numberOf } from './plan.ts'
import { minuteOf } from './points.ts'
import { parentOf, sketchOf } from './rebuild.ts'
import { aggregateOf } from './results.ts'
import {
  type SeriesAbout,
  type Size,
  seriesKey,
  sizeNames,
  sizes,
  startOf,
  windowKey,
} from './series.ts'
import { mergeInto } from './sketch.ts'
import { emptyWindow, type Window } from './window.ts'

export type AnalyticsOptions = {
  /** Where windows are told. */
  topic: string
  publish: readonly Size[]
  latenessMs: number
  seriesMax: number
  clockWaitMs: number
  holdMaxMs: number
  corrections: Corrections
  /** Values that no sensor means. */
  onAbsurd(count: number): void
}

const TOLD_AT_ONCE_MAX = 5000

/** An event that was loaded. */
type Planned = {
  event: SensorReading
  /** When it was: an Error where that is impossible, null while unknown. */
  time: number | Error | null
  /** Of each of its measurements; null of what is no value. */
  series: readonly (Series | null)[]
}

const NONE: Planned['series'] = []

/** Reads what the work on a partition begins with. Rejects while the state is away. */
export async function startAnalytics(
  state: PartitionState,
  options: AnalyticsOptions,
): Promise<Handling> {
  const listed = await state.range(within('series'))
  const about = ({ key, value }: { key: string; value: Buffer }) =>
    [key, JSON.parse(value.toString()) as SeriesAbout] as const
  return new Analytics(state, options, new Map(listed.map(about)), await DueWindows.read(state))
}

/** Readings become points, points windows, windows results; on the state of one partition. */
class Analytics implements Handling {
  readonly #options: AnalyticsOptions
  readonly #cache: Cache
  /** All series of the partition. */
  readonly #known: Map<string, SeriesAbout>
  readonly #due: DueWindows
  readonly #held: HeldReadings
  /** The events of this batch, and at which of them it is. */
  #planned: Planned[] = []
  #at = 0
  #released: (Planned & { time: number })[] = []
  #telling: Due[] = []
  #surroundings = new Map<Series, Surroundings>()
  readonly #late = new Set<Series>()
  readonly #changed = new Changed()
  /** Up to when the gateways' time has come. */
  #watermark = 0

  constructor(
    state: PartitionState,
    options: AnalyticsOptions,
    known: Map<string, SeriesAbout>,
    due: DueWindows,
  ) {
    this.#options = options
    this.#cache = new Cache(state, options.holdMaxMs)
    this.#known = known
    this.#due = due
    this.#held = new HeldReadings(state, options.corrections, options.clockWaitMs)
  }

  async load(arrived: readonly Arrived[]): Promise<void> {
    this.#cache.shrink()
    this.#planned = []
    this.#at = 0
    for (const { event, record } of arrived) {
      const time = this.#held.timeOf(event, record.heardAt)
      this.#planned.push({ event, time, series: NONE })
    }
    this.#released = (await this.#held.due(Date.now())).map(one => ({ ...one, series: NONE }))
    const late = new Map<Series, Point[]>()
    const rows = new Map<string, { bundle: Bundle; start: number }>()
    for (const planned of [...this.#planned, ...this.#released]) {
      const { event, time } = planned
      if (time instanceof Error) continue
      planned.series = this.#seriesOf(event) ?? (await this.#open(event))
      if (time !== null) this.#plan(planned, time, late, rows)
    }
    for (const { bundle, row } of await this.#cache.loadRows([...rows.values()])) {
      this.#changed.minute(bundle, row)
    }
    for (const [series, points] of late) {
      this.#surroundings.set(series, await loadSurroundings(this.#cache, series, points))
    }
    await this.#loadDue()
  }

  /** Takes events in the order in which they were loaded. */
  handle({ event, record }: Arrived): void {
    while (this.#planned[this.#at]!.event !== event) this.#at++
    const planned = this.#planned[this.#at]!
    const { time } = planned
    if (time instanceof Error) throw time
    this.#admit(planned.series)
    if (time === null) {
      this.#held.hold(event, record.heardAt)
      return
    }
    this.#put(planned, time)
    const received = event.receivedAt + (this.#held.offsetOf(event, record.heardAt) ?? 0)
    this.#watermark = Math.max(this.#watermark, Math.min(received, record.heardAt))
  }

  takeChanges(): Outcome {
    for (const released of this.#released) {
      this.#put(released, released.time)
      this.#held.release(released.event)
    }
    this.#released = []
    this.#insertLate()
    const effects = this.#tellAll()
    const rows = new Map([...this.#due.takeChanges(), ...this.#held.takeChanges()])
    this.#changed.takeRows(rows)
    return { rows, effects }
  }

  /** The series of an event's measurements, if all are in memory. */
  #seriesOf({ site, zone, device, measurements }: SensorReading): Planned['series'] | null {
    const there = this.#cache.seriesOf({ site, zone, device })
    if (!there) return null
    const found: (Series | null)[] = []
    for (const measurement of measurements) {
      const series = isValue(measurement) ? there.get(measurement.metric) : null
      if (series === undefined) return null
      found.push(series)
    }
    return found
  }

  /** Reads those that are listed; the others begin as one bundle. */
  async #open(event: SensorReading): Promise<Planned['series']> {
    const { site, zone, device } = event
    const series: (Series | null)[] = []
    let bundle: string | null = null
    for (const measurement of event.measurements) {
      const name = { site, zone, device, metric: measurement.metric }
      const known = this.#known.get(seriesKey(name))
      let own: Series | null = null
      if (isValue(measurement)) {
        own = this.#cache.series(name) ?? (known ? await this.#cache.loadSeries(name, known) : null)
        bundle ??= own ? null : name.metric
        own ??= this.#cache.begin(name, aboutOf(measurement, bundle!))
      }
      series.push(own)
    }
    return series
  }

  /** Tells which points come late, and into which minutes they go that may have to be read. */
  #plan(
    { event, series: all }: Planned,
    at: number,
    late: Map<Series, Point[]>,
    rows: Map<string, { bundle: Bundle; start: number }>,
  ): void {
    const start = minuteOf(at)
    for (const [index, series] of all.entries()) {
      if (!series) continue
      const { bundle } = series
      if (series.row?.start !== start && start <= bundle.furthest) {
        rows.set(minuteKey(bundle.key, start), { bundle, start })
      }
      const point = { at, value: numberOf(event.measurements[index]!)! }
      // What was planned and not taken makes more points late than are, which does no harm.
      if (!series.planned || isAtEnd(series.planned, point)) series.planned = point
      else if (late.has(series)) late.get(series)!.push(point)
      else late.set(series, [point])
    }
  }

  async #loadDue(): Promise<void> {
    const moment = this.#watermark - this.#options.latenessMs
    this.#telling = this.#due.before(moment, TOLD_AT_ONCE_MAX)
    for (const { name } of this.#telling) {
      if (this.#cache.series(name)) continue
      await this.#cache.loadSeries(name, this.#known.get(seriesKey(name))!)
    }
    await this.#cache.loadWindows(this.#telling)
  }

  /**
   * Lists the series that an event begins, so that what is held has room when it counts. Throws,
   * listing none, when there would be too many.
   */
  #admit(all: Planned['series']): void {
    const fresh = new Set<Series>()
    for (const series of all) if (series?.isNew) fresh.add(series)
    if (fresh.size === 0) return
    const { seriesMax } = this.#options
    if (this.#known.size + fresh.size > seriesMax) {
      throw new Error(`its partition has ${seriesMax} series (consumers.analytics.seriesMax)`)
    }
    for (const series of fresh) {
      series.isNew = false
      this.#known.set(seriesKey(series), series.about)
      this.#changed.begun(series)
    }
  }

  #put({ event, series: all }: Planned, at: number): void {
    for (const [index, measurement] of event.measurements.entries()) {
      const value = numberOf(measurement)
      if (value === null) continue
      const series = all[index]
      if (!series) {
        this.#options.onAbsurd(1)
        continue
      }
      const point = { at, value }
      if (isAtEnd(series.last, point)) this.#append(series, point)
      else {
        series.late.push(point)
        this.#late.add(series)
      }
    }
  }

  #append(series: Series, point: Point): void {
    const { at, value } = point
    const { open } = series
    this.#appendToMinute(series, point)
    if (!open[0] || at >= open[0].start + sizes['15m']) this.#enter(series, at)
    open[0]!.sketch.accept(value)
    for (let index = 0; index < open.length; index++) {
      const window = open[index]!
      if (window.piece) append(window.piece, at, value, this.#options.holdMaxMs)
      else window.piece = pieceOf(point)
      if (window.told > 0) window.amended++
      if (window.isKept) this.#changed.window(window)
    }
    series.last = point
  }

  #appendToMinute(series: Series, { at, value }: Point): void {
    const { bundle } = series
    const start = minuteOf(at)
    if (series.row?.start !== start) {
      const left = series.row
      series.row = rowAt(bundle, start)
      series.row.ends++
      series.minute = minuteIn(series.row, series.metric)
      if (left) {
        left.ends--
        forgetRow(bundle, left)
      }
    }
    series.minute!.offsets.push(at - start)
    series.minute!.values.push(value)
    this.#changed.minute(bundle, series.row)
  }

  /** Leaves the windows that end before a moment, and begins those in which it is. */
  #enter(series: Series, at: number): void {
    for (const [index, size] of sizeNames.entries()) {
      const left = series.open[index]
      const start = startOf(size, at)
      if (left?.start === start) continue
      if (left) this.#leave(series, left)
      const window = emptyWindow(series, size, start, series.last)
      series.open[index] = window
      this.#begin(window)
    }
  }

  /** Nothing more comes in order: it gets a row, and its values go into the longer window. */
  #leave(series: Series, window: Window): void {
    window.isLeft = true
    this.#cache.keep(window)
    this.#keep(window)
    const parent = parentOf[window.size]
    const around = parent && this.#cache.windowAt(series, parent, window.start)
    if (!around) return
    mergeInto(around.sketch, window.sketch)
    if (around.isKept) this.#changed.window(around)
  }

  #begin({ series, size, start }: Window): void {
    if (this.#options.publish.includes(size)) this.#due.add(series, size, start)
  }

  #keep(window: Window): void {
    window.isKept = true
    this.#changed.window(window)
  }

  #insertLate(): void {
    const { holdMaxMs } = this.#options
    const touched = {
      minute: this.#changed.minute,
      window: this.#changed.window,
      begun: (window: Window) => this.#begin(window),
    }
    for (const series of this.#late) {
      const around = this.#surroundings.get(series)!
      const points = series.late.splice(0)
      points.sort((one, other) => one.at - other.at || one.value - other.value)
      insertLate(this.#cache, around, points, { touched, holdMaxMs })
    }
    this.#late.clear()
    this.#surroundings.clear()
  }

  /** What is due, and what was told before and has changed since. */
  #tellAll(): Effect[] {
    const told = [...this.#changed.windows].filter(window => window.told > 0)
    for (const one of this.#telling) {
      this.#due.done(one)
      const window = this.#cache.find(one.name, one.size, one.start)
      if (!window?.piece || window.told > 0) continue
      told.push(window)
      this.#keep(window)
    }
    this.#telling = []
    return told.map(window => this.#tell(window))
  }

  #tell(window: Window): Effect {
    const { series, size, start } = window
    window.told++
    const own = this.#cache.series(series)!
    const sketch = sketchOf(window, (of, at) => this.#cache.windowAt(own, of, at))
    const value = aggregateOf({ ...window, sketch }, own.about, this.#options.holdMaxMs)
    const name = [series.site, series.zone, series.device, series.metric, size, value.start]
    return {
      id: windowKey(series, size, start),
      topic: this.#options.topic,
      key: name.join('/'),
      value: Buffer.from(JSON.stringify(value)),
    }
  }
}

function isValue(measurement: Measurement): boolean {
  const value = numberOf(measurement)
  return value !== null && !Number.isNaN(value)
}
