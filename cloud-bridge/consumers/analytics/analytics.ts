import type { Measurement, SensorReading } from '../../../config/events.ts'
import type { Arrived, Handling, Outcome } from '../runtime/stateful.ts'
import { within } from '../state/keys.ts'
import type { Effect, PartitionState } from '../state/state.ts'
import type { Series } from './at-work.ts'
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
  type SeriesName,
  type Size,
  seriesKey,
  sizeNames,
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
  /** When the events of this batch were: an Error where that is impossible, null while unknown. */
  #times = new Map<SensorReading, number | Error | null>()
  #released: { event: SensorReading; time: number }[] = []
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
    this.#times = new Map(
      arrived.map(({ event, record }) => [event, this.#held.timeOf(event, record.heardAt)]),
    )
    this.#released = await this.#held.due(Date.now())
    const late = new Map<Series, Point[]>()
    for (const [event, time] of this.#times) {
      if (!(time instanceof Error)) await this.#loadFor(event, time, late)
    }
    for (const { event, time } of this.#released) await this.#loadFor(event, time, late)
    for (const [series, points] of late) {
      this.#surroundings.set(series, await loadSurroundings(this.#cache, series, points))
    }
    await this.#loadDue()
  }

  handle({ event, record }: Arrived): void {
    const time = this.#times.get(event)!
    if (time instanceof Error) throw time
    this.#admit(event)
    if (time === null) {
      this.#held.hold(event, record.heardAt)
      return
    }
    this.#put(event, time)
    const received = event.receivedAt + (this.#held.offsetOf(event, record.heardAt) ?? 0)
    this.#watermark = Math.max(this.#watermark, Math.min(received, record.heardAt))
  }

  takeChanges(): Outcome {
    for (const { event, time } of this.#released) {
      this.#put(event, time)
      this.#held.release(event)
    }
    this.#released = []
    this.#insertLate()
    const effects = this.#tellAll()
    const rows = new Map([...this.#due.takeChanges(), ...this.#held.takeChanges()])
    this.#changed.takeRows(rows)
    return { rows, effects }
  }

  /** Reads the series of an event; tells of points that come late, if their time is known. */
  async #loadFor(
    event: SensorReading,
    at: number | null,
    late: Map<Series, Point[]>,
  ): Promise<void> {
    const there = this.#cache.seriesOf(event)
    for (const measurement of event.measurements) {
      const value = numberOf(measurement)
      if (value === null || Number.isNaN(value)) continue
      const found = there.get(measurement.metric)
      const series = found ?? (await this.#open({ ...event, ...measurement }, measurement))
      if (at === null) continue
      const point = { at, value }
      // What was planned and not taken makes more points late than are, which does no harm.
      if (!series.planned || isAtEnd(series.planned, point)) series.planned = point
      else if (late.has(series)) late.get(series)!.push(point)
      else late.set(series, [point])
    }
  }

  async #open(name: SeriesName, measurement: Measurement): Promise<Series> {
    const there = this.#cache.seriesOf(name).get(name.metric)
    if (there) return there
    const known = this.#known.get(seriesKey(name))
    if (known) return this.#cache.loadSeries(name, known)
    return this.#cache.begin(name, aboutOf(measurement))
  }

  async #loadDue(): Promise<void> {
    const moment = this.#watermark - this.#options.latenessMs
    this.#telling = this.#due.before(moment, TOLD_AT_ONCE_MAX)
    for (const { name } of this.#telling) {
      if (this.#cache.seriesOf(name).has(name.metric)) continue
      await this.#cache.loadSeries(name, this.#known.get(seriesKey(name))!)
    }
    await this.#cache.loadWindows(this.#telling)
  }

  /**
   * Lists the series that an event begins, so that what is held has room when it counts. Throws,
   * listing none, when there would be too many.
   */
  #admit(event: SensorReading): void {
    const there = this.#cache.seriesOf(event)
    const fresh: Series[] = []
    for (const { metric } of event.measurements) {
      const series = there.get(metric)
      if (series?.isNew && !fresh.includes(series)) fresh.push(series)
    }
    const { seriesMax } = this.#options
    if (fresh.length > 0 && this.#known.size + fresh.length > seriesMax) {
      throw new Error(`its partition has ${seriesMax} series (consumers.analytics.seriesMax)`)
    }
    for (const series of fresh) {
      series.isNew = false
      this.#known.set(seriesKey(series), series.about)
      this.#changed.begun(series)
    }
  }

  #put(event: SensorReading, at: number): void {
    const there = this.#cache.seriesOf(event)
    for (const measurement of event.measurements) {
      const value = numberOf(measurement)
      if (value === null) continue
      if (Number.isNaN(value)) {
        this.#options.onAbsurd(1)
        continue
      }
      const series = there.get(measurement.metric)!
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
    const start = minuteOf(at)
    if (series.minute?.start !== start) series.minute = { start, points: [] }
    series.minute.points.push(point)
    this.#changed.minute(series, series.minute)
    for (const [index, size] of sizeNames.entries()) {
      let window = series.open[index]
      if (window?.start !== startOf(size, at)) {
        if (window) this.#leave(series, window)
        window = emptyWindow(series, size, startOf(size, at), series.last)
        series.open[index] = window
        this.#cache.keep(window)
        this.#begin(window)
      }
      if (window.piece) append(window.piece, at, value, this.#options.holdMaxMs)
      else window.piece = pieceOf(point)
      if (index === 0) window.sketch.accept(value)
      if (window.told > 0) window.amended++
      if (window.isKept) this.#changed.window(window)
    }
    series.last = point
  }

  /** Nothing more comes in order: it gets a row, and its values go into the longer window. */
  #leave(series: Series, window: Window): void {
    window.isLeft = true
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
      for (const minute of this.#changed.minutesOf(series)) {
        around.minutes.set(minute.start, minute)
      }
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
    const own = this.#cache.seriesOf(series).get(series.metric)!
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
