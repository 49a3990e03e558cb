import { keyIn, keyOf, timePart } from '../state/keys.ts'
import { emptyMinute, type Minute } from './points.ts'
import type { SeriesName } from './series.ts'

/**
 * Series of a device that began with one event and so, mostly, go on together: a minute of all of
 * them is one row, because a row costs more than the points in it.
 */
export type Bundle = {
  key: string
  /** Those in memory: what changed, and the minutes in which its series end. */
  rows: Map<number, MinuteRow>
  /** The start of the newest one, in memory or not. */
  furthest: number
}

/** A minute of a bundle. */
export type MinuteRow = {
  start: number
  /** By metric. */
  minutes: Map<string, Minute>
  /** So many series in memory end in it. */
  ends: number
  /** It is not committed yet. */
  isChanged: boolean
}

/** Where the minutes of a bundle stand; it is named after one of its metrics. */
export const bundleKey = ({ site, zone, device }: SeriesName, bundle: string) =>
  keyOf('minute', site, zone, device, bundle)
/** Where a minute of a bundle stands. */
export const minuteKey = (bundle: string, start: number) => keyIn(bundle, timePart(start))

/** A minute of a bundle, which is in memory or nowhere. */
export function rowAt(bundle: Bundle, start: number): MinuteRow {
  const there = bundle.rows.get(start)
  if (there) return there
  const row = { start, minutes: new Map(), ends: 0, isChanged: false }
  bundle.rows.set(start, row)
  if (start > bundle.furthest) bundle.furthest = start
  return row
}

/** Lets go of a minute that is needed no more. */
export function forgetRow({ rows }: Bundle, { start, ends, isChanged }: MinuteRow): void {
  if (ends === 0 && !isChanged) rows.delete(start)
}

/** A metric's minute in that of its bundle. */
export function minuteIn({ start, minutes }: MinuteRow, metric: string): Minute {
  const there = minutes.get(metric)
  if (there) return there
  const minute = emptyMinute(start)
  minutes.set(metric, minute)
  return minute
}

const HEAD_BYTES = 6
const POINT_BYTES = 10

/** Of each metric the bytes of its name, how many points, the name, and 10 bytes a point. */
export function packRow({ minutes }: MinuteRow): Buffer {
  let bytes = 0
  for (const [metric, { values }] of minutes) {
    bytes += HEAD_BYTES + Buffer.byteLength(metric) + values.length * POINT_BYTES
  }
  const packed = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const [metric, { offsets, values }] of minutes) {
    const nameBytes = packed.write(metric, at + HEAD_BYTES)
    packed.writeUInt16LE(nameBytes, at)
    packed.writeUInt32LE(values.length, at + 2)
    at += HEAD_BYTES + nameBytes
    for (let index = 0; index < values.length; index++) {
      packed.writeUInt16LE(offsets[index]!, at)
      packed.writeDoubleLE(values[index]!, at + 2)
      at += POINT_BYTES
    }
  }
  return packed
}

/** The minutes in a row, of all metrics or of one. */
export function unpackRow(start: number, packed: Buffer, only?: string): Map<string, Minute> {
  const minutes = new Map<string, Minute>()
  for (let at = 0; at < packed.length; ) {
    const points = at + HEAD_BYTES + packed.readUInt16LE(at)
    const end = points + packed.readUInt32LE(at + 2) * POINT_BYTES
    const metric = packed.toString('utf8', at + HEAD_BYTES, points)
    at = end
    if (only !== undefined && metric !== only) continue
    const minute = emptyMinute(start)
    for (let point = points; point < end; point += POINT_BYTES) {
      minute.offsets.push(packed.readUInt16LE(point))
      minute.values.push(packed.readDoubleLE(point + 2))
    }
    minutes.set(metric, minute)
  }
  return minutes
}
