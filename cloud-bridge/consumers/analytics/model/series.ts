import { keyOf, timeKeyPart } from '../../state/row-keys.ts'

/** A device in one place. */
export type DeviceName = { site: string; zone: string; device: string }

/** One metric of one device in one place. */
export type SeriesName = DeviceName & { metric: string }

/** What stays the same of a series, as it was when it began. */
export type SeriesAbout = { unit: string | null; kind: 'number' | 'flag' }

/** The windows that are kept, longest last. Days are those of UTC. */
export const windowSizesMs = { '15m': 900_000, '1h': 3_600_000, '1d': 86_400_000 } as const
export type WindowSize = keyof typeof windowSizesMs
/** Those that are made of shorter windows; quarters of an hour are points. */
export type LongWindowSize = Exclude<WindowSize, '15m'>
export const longWindowSizes: readonly LongWindowSize[] = ['1h', '1d']

const partsOf = ({ site, zone, device }: DeviceName) => [site, zone, device]

export const deviceKey = (name: DeviceName) => keyOf(...partsOf(name))
/** Where a series is listed. */
export const seriesKey = (name: SeriesName) => keyOf('series', ...partsOf(name), name.metric)
/** Where the points of a device in one quarter of an hour stand. */
export const pointsKey = (name: DeviceName, start: number) =>
  keyOf('points', ...partsOf(name), timeKeyPart(start))
/** Where a window of a series stands. */
export const windowKey = (name: SeriesName, size: WindowSize, start: number) =>
  keyOf('window', size, ...partsOf(name), name.metric, timeKeyPart(start))
/** Where it stands that windows of a device are yet to be told. */
export const timerKey = (name: DeviceName, size: WindowSize, start: number) =>
  keyOf('due', timeKeyPart(start + windowSizesMs[size]), size, ...partsOf(name))

/** The keys of the points of a device in quarters from one moment to before another. */
export const pointsBetween = (name: DeviceName, from: number, to: number) => ({
  from: pointsKey(name, from),
  to: pointsKey(name, to),
})
/** The keys of the windows of a series that begin from one moment to before another. */
export const windowsBetween = (
  name: SeriesName,
  size: LongWindowSize,
  from: number,
  to: number,
) => ({
  from: windowKey(name, size, from),
  to: windowKey(name, size, to),
})

export const startOf = (size: WindowSize, at: number) =>
  Math.floor(at / windowSizesMs[size]) * windowSizesMs[size]
