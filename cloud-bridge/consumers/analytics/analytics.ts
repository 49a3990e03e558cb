import type { Arrived, Handling } from '../runtime/stateful.ts'
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

/** Analytics on the state of one partition: readings become points, points windows, windows results. */
export async function startAnalytics(
  state: PartitionState,
  options: AnalyticsOptions,
): Promise<Handling> {
  const { publish, latenessMs, seriesMax, holdMaxMs } = options
  const cache = new Cache(state)
  const listed = await state.range(within('series'))
  const known = new Map(
    listed.map(({ key, value }) => [key, JSON.parse(value.toString()) as SeriesAbout]),
  )
  const due = await DueWindows.read(state)
  const held = new HeldReadings(state, options.corrections, options.clockWaitMs)
  let watermark = 0

  let plans = new Map<Arrived['event'], Plan | Error | 'held'>()
  let released: { event: Arrived['event']; plan: Plan }[] = []
  let telling: Due[] = []
  let surroundings = new Map<Series, Surroundings>()
  const latePoints = new Map<Series, Point[]>()
  const minutes = new Map<Series, Map<number, Minute>>()
  const windows = new Set<Window>()
  const begun: Series[] = []

  const touched = {
    minute(series: Series, minute: Minute) {
      const own = minutes.get(series) ?? new Map<number, Minute>()
      minutes.set(series, own)
      own.set(minute.start, minute)
    },
    window: (window: Window) => void windows.add(window),
    begun(window: Window) {
      if (publish.includes(window.size)) due.add(window.series, window.size, window.start)
    },
  }

  const planFor = ({ event, record }: Arrived): Plan | Error | 'held' => {
    const offsetMs = held.offsetOf(event)
    if (offsetMs === null) return 'held'
    try {
      return planOf(event, timeOf(event, offsetMs, record.heardAt))
    } catch (error) {
      return error as Error
    }
  }

  /** Reads the series of these points, and what is around those that are late. */
  const loadFor = async (points: readonly Planned[]) => {
    const ends = new Map<string, Point | null>()
    const late = new Map<string, Point[]>()
    for (const { key, name, about, point } of points) {
      if (!cache.series.has(key)) {
        if (known.has(key)) await cache.loadSeries(key, name, known.get(key)!)
        else cache.series.set(key, { ...name, about, last: null, minute: null, open: [] })
      }
      const series = cache.series.get(key)!
      const last = ends.get(key) ?? series.last
      if (isAtEnd({ ...series, last }, point)) ends.set(key, point)
      else late.set(key, [...(late.get(key) ?? []), point])
    }
    for (const [key, behind] of late) {
      const series = cache.series.get(key)!
      surroundings.set(series, await loadSurroundings(cache, series, behind))
    }
  }

  const put = ({ key, name, about, point }: Planned) => {
    const series = cache.series.get(key)!
    if (!known.has(key)) {
      known.set(key, about)
      begun.push(series)
    }
    if (!isAtEnd(series, point)) {
      const points = latePoints.get(series) ?? []
      latePoints.set(series, points)
      points.push(point)
      return
    }
    const start = minuteOf(point.at)
    if (series.minute?.start !== start) series.minute = { start, points: [] }
    series.minute.points.push(point)
    touched.minute(series, series.minute)
    for (const [at, size] of sizeNames.entries()) {
      const begin = startOf(size, point.at)
      let window = series.open[at]
      if (window?.start !== begin) {
        window = emptyWindow(name, size, begin, series.last)
        series.open[at] = window
        cache.keep(window)
        touched.begun(window)
      }
      if (window.piece) append(window.piece, point.at, point.value, holdMaxMs)
      else window.piece = pieceOf(point)
      window.sketch.accept(point.value)
      touched.window(window)
      if (window.told > 0) window.amended++
    }
    series.last = point
  }

  const putAll = ({ points, absurd }: Plan) => {
    if (absurd > 0) options.onAbsurd(absurd)
    for (const one of points) put(one)
  }

  const tell = (window: Window): Effect => {
    const { series, size, start } = window
    window.told++
    const value = aggregateOf(window, known.get(seriesKey(series))!, holdMaxMs)
    const key = windowKey(series, size, start)
    const name = [series.site, series.zone, series.device, series.metric, size, value.start]
    const text = Buffer.from(JSON.stringify(value))
    return { id: key, topic: options.topic, key: name.join('/'), value: text }
  }

  return {
    async load(arrived) {
      cache.shrink()
      plans = new Map(arrived.map(one => [one.event, planFor(one)]))
      surroundings = new Map()
      released = (await held.due(Date.now())).flatMap(({ event, offsetMs, heardAt }) => {
        const time = timeOrReceived(event, offsetMs, heardAt)
        return [{ event, plan: planOf(event, time) }]
      })
      const all = [...plans.values(), ...released.map(({ plan }) => plan)]
      await loadFor(
        all.flatMap(plan => (plan === 'held' || plan instanceof Error ? [] : plan.points)),
      )
      telling = due.before(watermark - latenessMs, TOLD_AT_ONCE_MAX)
      await cache.loadWindows(telling)
    },
    handle({ event, record }) {
      const plan = plans.get(event)!
      if (plan instanceof Error) throw plan
      if (plan === 'held') return held.hold(event, record.heardAt)
      const fresh = new Set(plan.points.flatMap(({ key }) => (known.has(key) ? [] : [key])))
      if (fresh.size > 0 && known.size + fresh.size > seriesMax) {
        throw new Error(`its partition has ${seriesMax} series (consumers.analytics.seriesMax)`)
      }
      putAll(plan)
      const offsetMs = held.offsetOf(event) ?? 0
      watermark = Math.max(watermark, Math.min(event.receivedAt + offsetMs, record.heardAt))
    },
    takeChanges() {
      for (const { event, plan } of released) {
        putAll(plan)
        held.release(event)
      }
      released = []
      for (const [series, points] of latePoints) {
        const around = surroundings.get(series)!
        for (const [start, minute] of minutes.get(series) ?? []) around.minutes.set(start, minute)
        points.sort((one, other) => one.at - other.at || one.value - other.value)
        insertLate(cache, around, points, { emptyWindow, touched, holdMaxMs })
      }
      latePoints.clear()
      const effects: Effect[] = []
      // What came late changes what was told before.
      for (const window of windows) if (window.told > 0) effects.push(tell(window))
      for (const one of telling) {
        const window = cache.find(one.name, one.size, one.start)
        due.done(one)
        if (!window?.piece) continue
        effects.push(tell(window))
        windows.add(window)
      }
      telling = []
      const rows = new Map<string, Buffer | null>([...due.takeChanges(), ...held.takeChanges()])
      for (const [series, own] of minutes) {
        for (const minute of own.values()) {
          rows.set(minuteKey(series, minute.start), packPoints(minute))
        }
      }
      for (const window of windows) {
        rows.set(windowKey(window.series, window.size, window.start), packWindow(window))
      }
      for (const series of begun) {
        rows.set(seriesKey(series), Buffer.from(JSON.stringify(series.about)))
      }
      minutes.clear()
      windows.clear()
      begun.length = 0
      return { rows, effects }
    },
  }
}

function timeOrReceived(event: Arrived['event'], offsetMs: number, heardAt: number): number {
  try {
    return timeOf(event, offsetMs, heardAt)
  } catch {
    return heardAt
  }
}
