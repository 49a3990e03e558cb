import type { SensorReading } from '../../../config/events.ts'
import type { Arrived, Handling, Outcome } from '../runtime/stateful.ts'
import { within } from '../state/keys.ts'
import type { Effect, PartitionState } from '../state/state.ts'
import { Cache, isAtEnd } from './cache.ts'
import { type Due, DueWindows } from './due.ts'
import { type Corrections, HeldReadings } from './held.ts'
import { insertLate, loadSurroundings, type Surroundings } from './late.ts'
import { append, type Point, pieceOf } from './piece.ts'
import { type Plan, type Planned, planOf, timeOf } from './plan.ts'
import { type Minute, minuteOf, packPoints } from './points.ts'
import { aggregateOf } from './results.ts'
import {
  minuteKey,
  type Series,
  type SeriesAbout,
  type Size,
  seriesKey,
  sizeNames,
  startOf,
  windowKey,
} from './series.ts'
import { emptyWindow, packWindow, type Window } from './window.ts'

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
  /** What the events of this batch come to; null where its time is not known yet. */
  #plans = new Map<SensorReading, Plan | Error | null>()
  #released: { event: SensorReading; plan: Plan }[] = []
  #telling: Due[] = []
  #surroundings = new Map<Series, Surroundings>()
  /** What changed since the last commit. */
  readonly #late = new Map<Series, Point[]>()
  readonly #minutes = new Map<Series, Map<number, Minute>>()
  readonly #windows = new Set<Window>()
  readonly #begun: Series[] = []
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
    this.#plans = new Map(arrived.map(one => [one.event, this.#planFor(one)]))
    const due = await this.#held.due(Date.now())
    this.#released = due.map(({ event, time }) => ({ event, plan: planOf(event, time) }))
    const plans = [...this.#plans.values(), ...this.#released.map(({ plan }) => plan)]
    await this.#loadFor(plans)
    this.#telling = this.#due.before(this.#watermark - this.#options.latenessMs, TOLD_AT_ONCE_MAX)
    for (const { name } of this.#telling) {
      const key = seriesKey(name)
      if (!this.#cache.series.has(key)) await this.#loadSeries(key, name, this.#known.get(key)!)
    }
    await this.#cache.loadWindows(this.#telling)
  }

  handle({ event, record }: Arrived): void {
    const plan = this.#plans.get(event)!
    if (plan instanceof Error) throw plan
    if (plan === null) {
      this.#held.hold(event, record.heardAt)
      return
    }
    const isNew = ({ key }: Planned) => !this.#known.has(key)
    const { seriesMax } = this.#options
    if (this.#known.size + plan.points.filter(isNew).length > seriesMax) {
      throw new Error(`its partition has ${seriesMax} series (consumers.analytics.seriesMax)`)
    }
    this.#putAll(plan)
    const time = event.receivedAt + (this.#held.offsetOf(event) ?? 0)
    this.#watermark = Math.max(this.#watermark, Math.min(time, record.heardAt))
  }

  takeChanges(): Outcome {
    for (const { event, plan } of this.#released) {
      this.#putAll(plan)
      this.#held.release(event)
    }
    this.#released = []
    this.#insertLate()
    const effects = this.#tellAll()
    return { rows: this.#takeRows(), effects }
  }

  #planFor({ event, record }: Arrived): Plan | Error | null {
    const offsetMs = this.#held.offsetOf(event)
    if (offsetMs === null) return null
    try {
      return planOf(event, timeOf(event, offsetMs, record.heardAt))
    } catch (error) {
      return error as Error
    }
  }

  /** Reads the series of what is planned, and what is around points that come late. */
  async #loadFor(plans: readonly (Plan | Error | null)[]): Promise<void> {
    const ends = new Map<string, Point | null>()
    const late = new Map<string, Point[]>()
    for (const plan of plans) {
      if (plan === null || plan instanceof Error) continue
      for (const { key, name, about, point } of plan.points) {
        const series = this.#cache.series.get(key) ?? (await this.#loadSeries(key, name, about))
        const last = ends.get(key) ?? series.last
        if (isAtEnd(last, point)) ends.set(key, point)
        else late.set(key, [...(late.get(key) ?? []), point])
      }
    }
    this.#surroundings = new Map()
    for (const [key, points] of late) {
      const series = this.#cache.series.get(key)!
      this.#surroundings.set(series, await loadSurroundings(this.#cache, series, points))
    }
  }

  async #loadSeries(key: string, name: Planned['name'], about: SeriesAbout): Promise<Series> {
    const known = this.#known.get(key)
    if (known) await this.#cache.loadSeries(key, name, known)
    else this.#cache.series.set(key, { ...name, about, last: null, minute: null, open: [] })
    return this.#cache.series.get(key)!
  }

  #putAll({ points, absurd }: Plan): void {
    if (absurd > 0) this.#options.onAbsurd(absurd)
    for (const { key, about, point } of points) {
      const series = this.#cache.series.get(key)!
      if (!this.#known.has(key)) {
        this.#known.set(key, about)
        this.#begun.push(series)
      }
      if (isAtEnd(series.last, point)) this.#append(series, point)
      else if (this.#late.has(series)) this.#late.get(series)!.push(point)
      else this.#late.set(series, [point])
    }
  }

  #append(series: Series, point: Point): void {
    const { at, value } = point
    const start = minuteOf(at)
    if (series.minute?.start !== start) series.minute = { start, points: [] }
    series.minute.points.push(point)
    this.#touched.minute(series, series.minute)
    for (const [index, size] of sizeNames.entries()) {
      let window = series.open[index]
      if (window?.start !== startOf(size, at)) {
        if (window) this.#leave(window)
        window = emptyWindow(series, size, startOf(size, at), series.last)
        series.open[index] = window
        this.#cache.keep(window)
        this.#touched.begun(window)
      }
      if (window.piece) append(window.piece, at, value, this.#options.holdMaxMs)
      else window.piece = pieceOf(point)
      window.sketch.accept(value)
      if (window.told > 0) window.amended++
      if (window.isKept) this.#touched.window(window)
    }
    series.last = point
  }

  /** Nothing more comes in order: from now on the window has a row. */
  #leave(window: Window): void {
    window.isKept = true
    this.#touched.window(window)
  }

  readonly #touched = {
    minute: (series: Series, minute: Minute) => {
      const own = this.#minutes.get(series) ?? new Map<number, Minute>()
      this.#minutes.set(series, own)
      own.set(minute.start, minute)
    },
    window: (window: Window) => void this.#windows.add(window),
    begun: ({ series, size, start }: Window) => {
      if (this.#options.publish.includes(size)) this.#due.add(series, size, start)
    },
  }

  #insertLate(): void {
    const { holdMaxMs } = this.#options
    for (const [series, points] of this.#late) {
      const around = this.#surroundings.get(series)!
      for (const minute of this.#minutes.get(series)?.values() ?? []) {
        around.minutes.set(minute.start, minute)
      }
      points.sort((one, other) => one.at - other.at || one.value - other.value)
      insertLate(this.#cache, around, points, { touched: this.#touched, holdMaxMs })
    }
    this.#late.clear()
  }

  /** What is due, and what was told before and has changed since. */
  #tellAll(): Effect[] {
    const told = [...this.#windows].filter(window => window.told > 0)
    for (const one of this.#telling) {
      this.#due.done(one)
      const window = this.#cache.find(one.name, one.size, one.start)
      if (!window?.piece || window.told > 0) continue
      told.push(window)
      this.#leave(window)
    }
    this.#telling = []
    return told.map(window => this.#tell(window))
  }

  #tell(window: Window): Effect {
    const { series, size, start } = window
    window.told++
    const value = aggregateOf(window, this.#known.get(seriesKey(series))!, this.#options.holdMaxMs)
    const name = [series.site, series.zone, series.device, series.metric, size, value.start]
    return {
      id: windowKey(series, size, start),
      topic: this.#options.topic,
      key: name.join('/'),
      value: Buffer.from(JSON.stringify(value)),
    }
  }

  #takeRows(): Map<string, Buffer | null> {
    const rows = new Map([...this.#due.takeChanges(), ...this.#held.takeChanges()])
    for (const [series, own] of this.#minutes) {
      for (const minute of own.values()) {
        rows.set(minuteKey(series, minute.start), packPoints(minute))
      }
    }
    for (const window of this.#windows) {
      if (!window.isKept) continue
      rows.set(windowKey(window.series, window.size, window.start), packWindow(window))
    }
    for (const series of this.#begun) {
      rows.set(seriesKey(series), Buffer.from(JSON.stringify(series.about)))
    }
    this.#minutes.clear()
    this.#windows.clear()
    this.#begun.length = 0
    return rows
  }
}
