import { keyOf, timeKeyPart } from '../../state/row-keys.ts'
import type { LongWindowSize, WindowSize } from './window-sizes.ts'

/** A device in one zone. */
export type DeviceName = { site: string; zone: string; device: string }

/** One metric of one device in one zone. */
export type SeriesName = DeviceName & { metric: string }

/**
 * Attributes of a series. The first reading of the series sets them; later readings change nothing.
 */
export type SeriesAttributes = { unit: string | null; kind: 'number' | 'flag' }

const deviceParts = ({ site, zone, device }: DeviceName) => [site, zone, device]

export const deviceKey = (name: DeviceName) => keyOf(...deviceParts(name))
/** The key of the row that stores the attributes of a series. */
export const seriesKey = (name: SeriesName) => keyOf('series', ...deviceParts(name), name.metric)
/** The key of the row with a device's points in one quarter of an hour. */
export const pointsKey = (name: DeviceName, start: number) =>
  keyOf('points', ...deviceParts(name), timeKeyPart(start))
/** The key of the row with a window of a series. */
export const windowKey = (name: SeriesName, size: WindowSize, start: number) =>
  keyOf('window', size, ...deviceParts(name), name.metric, timeKeyPart(start))
/**
 * The key of a timer. The row exists while the windows of a device with this size and end are not
 * published. Keys sort by the end of the windows.
 */
export const timerKey = (name: DeviceName, size: WindowSize, end: number) =>
  keyOf('due', timeKeyPart(end), size, ...deviceParts(name))

/** The key range of a device's points in quarters that start at `from` or later and before `to`. */
export const pointsBetween = (name: DeviceName, from: number, to: number) => ({
  from: pointsKey(name, from),
  to: pointsKey(name, to),
})
/** The key range of a series' windows that start at `from` or later and before `to`. */
export const windowsBetween = (
  name: SeriesName,
  size: LongWindowSize,
  from: number,
  to: number,
) => ({
  from: windowKey(name, size, from),
  to: windowKey(name, size, to),
})
