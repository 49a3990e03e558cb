import type { Point } from './piece.ts'

const MINUTE_MS = 60_000
const POINT_BYTES = 10

/** The points of one minute of a series, in order of time and, at one moment, of value. */
export type Minute = { start: number; points: Point[] }

/** Adds a point where it belongs; whatever came before, the same points give the same minute. */
export function insert({ points }: Minute, point: Point): void {
  let at = points.length
  while (at > 0 && isBefore(point, points[at - 1]!)) at--
  points.splice(at, 0, point)
}

/** Whether a point stands before another in their series. */
export function isBefore(one: Point, other: Point): boolean {
  return one.at < other.at || (one.at === other.at && one.value < other.value)
}

/** 10 bytes a point: its ms within the minute and its value. */
export function packPoints({ start, points }: Minute): Buffer {
  const packed = Buffer.allocUnsafe(points.length * POINT_BYTES)
  for (const [index, { at, value }] of points.entries()) {
    packed.writeUInt16LE(at - start, index * POINT_BYTES)
    packed.writeDoubleLE(value, index * POINT_BYTES + 2)
  }
  return packed
}

export function unpackPoints(start: number, packed: Buffer): Minute {
  const points: Point[] = []
  for (let at = 0; at < packed.length; at += POINT_BYTES) {
    points.push({ at: start + packed.readUInt16LE(at), value: packed.readDoubleLE(at + 2) })
  }
  return { start, points }
}

export const minuteOf = (at: number) => Math.floor(at / MINUTE_MS) * MINUTE_MS
