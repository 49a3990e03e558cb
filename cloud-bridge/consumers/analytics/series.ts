import { keyOf, timePart } from '../state/keys.ts'

/** One metric of one device in one place. */
export type SeriesName = { site: string; zone: string; device: string; metric: string }

/** What stays the same of a series, as it was when it began. */
export type SeriesAbout = { unit: string | null; kind: 'number' | 'flag' }

/** The windows that are kept, longest last; minutes are points. Days are those of UTC. */
export const sizes = { '15m': 900_000, '1h': 3_600_000, '1d': 86_400_000 } as const
export type Size = keyof typeof sizes
export const sizeNames = Object.keys(sizes) as Size[]

const parts = ({ site, zone, device, metric }: SeriesName) => [site, zone, device, metric]

/** Where a series is listed. */
export const seriesKey = (name: SeriesName) => keyOf('series', ...parts(name))
/** Where a minute of a series stands. */
export const minuteKey = (name: SeriesName, start: number) =>
  keyOf('minute', ...parts(name), timePart(start))
/** Where a window of a series stands. */
export const windowKey = (name: SeriesName, size: Size, start: number) =>
  keyOf('window', size, ...parts(name), timePart(start))
/** Where it stands that a window is yet to be told. */
export const dueKey = (name: SeriesName, size: Size, start: number) =>
  keyOf('due', timePart(start + sizes[size]), size, ...parts(name))

/** The keys of the minutes of a series from one moment to before another. */
export const minutesBetween = (name: SeriesName, from: number, to: number) => ({
  from: minuteKey(name, from),
  to: minuteKey(name, to),
})
/** The keys of the windows of a series that begin from one moment to before another. */
export const windowsBetween = (name: SeriesName, size: Size, from: number, to: number) => ({
  from: windowKey(name, size, from),
  to: windowKey(name, size, to),
})

export const startOf = (size: Size, at: number) => Math.floor(at / sizes[size]) * sizes[size]
