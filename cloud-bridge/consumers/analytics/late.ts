import type { Series } from './at-work.ts'
import type { Cache } from './cache.ts'
import type { Point } from './piece.ts'
import { insert, isBefore, type Minute, minuteOf } from './points.ts'
import { pieceFor } from './rebuild.ts'
import { type Size, sizeNames, sizes, startOf } from './series.ts'
import { emptyWindow, type Window } from './window.ts'

/** What late points of one series need: the minutes that matter, in order of time. */
export type Surroundings = { series: Series; minutes: Map<number, Minute> }

/** Reads what is needed to put points of a series where they belong. */
export async function loadSurroundings(
  cache: Cache,
  series: Series,
  points: readonly Point[],
): Promise<Surroundings> {
  const minutes = new Map<number, Minute>()
  const quarters = new Set(points.map(({ at }) => startOf('15m', at)))
  for (const start of quarters) {
    for (const minute of await cache.minutesAround(series, start, start + sizes['15m'])) {
      minutes.set(minute.start, minute)
    }
  }
  const moments = [...points.map(({ at }) => at), ...minutes.keys()]
  const wanted = new Map<string, { name: Series; size: Size; start: number }>()
  for (const at of moments) {
    for (const size of sizeNames) {
      const start = startOf(size, at)
      wanted.set(`${size}${start}`, { name: series, size, start })
    }
  }
  await cache.loadWindows([...wanted.values()])
  for (const start of new Set(points.map(({ at }) => startOf('1h', at)))) {
    await cache.loadWindowsBetween(series, '15m', start, start + sizes['1h'])
  }
  for (const start of new Set(points.map(({ at }) => startOf('1d', at)))) {
    await cache.loadWindowsBetween(series, '1h', start, start + sizes['1d'])
  }
  return { series, minutes }
}

export type Touched = {
  minute(series: Series, minute: Minute): void
  window(window: Window): void
  begun(window: Window): void
}

/**
 * Puts points, in order of time, where they belong, and makes the windows anew that they change.
 */
export function insertLate(
  cache: Cache,
  { series, minutes }: Surroundings,
  points: readonly Point[],
  { touched, holdMaxMs }: { touched: Touched; holdMaxMs: number },
): void {
  // What the series has in memory is newer than what was read.
  if (series.minute) minutes.set(series.minute.start, series.minute)
  const windowAt = (size: Size, at: number) => cache.windowAt(series, size, at)
  const toMake = new Map<string, Window>()
  for (const point of points) {
    const start = minuteOf(point.at)
    const minute = minutes.get(start) ?? { start, points: [] }
    minutes.set(start, minute)
    const [before, behind] = neighbours(minutes, point)
    insert(minute, point)
    touched.minute(series, minute)
    // A window has the values of those of its parts that were left.
    let isPartLeft = true
    for (const size of sizeNames) {
      let window = windowAt(size, point.at)
      if (!window) {
        window = emptyWindow(series, size, startOf(size, point.at), before)
        Object.assign(window, { isLeft: true, isKept: true })
        cache.keep(window)
        touched.begun(window)
      }
      if (isPartLeft) window.sketch.accept(point.value)
      isPartLeft = window.isLeft
      if (window.told > 0) window.amended++
      touched.window(window)
      toMake.set(`${size}${window.start}`, window)
      const next = behind && windowAt(size, behind.at)
      if (next && next !== window && (!next.before || isBefore(next.before, point))) {
        next.before = point
        touched.window(next)
      }
    }
  }
  for (const size of sizeNames) {
    for (const window of toMake.values()) {
      if (window.size === size) window.piece = pieceFor(window, minutes, windowAt, holdMaxMs)
    }
  }
}

/** The last point before this one and the first one behind it, of the minutes that were read. */
function neighbours(minutes: ReadonlyMap<number, Minute>, point: Point) {
  let before: Point | null = null
  let behind: Point | null = null
  for (const { points } of minutes.values()) {
    for (const one of points) {
      if (isBefore(one, point)) {
        if (!before || isBefore(before, one)) before = one
      } else if (!behind || isBefore(one, behind)) behind = one
    }
  }
  return [before, behind] as const
}
