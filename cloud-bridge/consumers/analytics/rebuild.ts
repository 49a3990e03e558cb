import { append, join, type Piece, pieceOf } from './piece.ts'
import type { Minute } from './points.ts'
import { type Size, sizes } from './series.ts'
import { emptySketch, mergeInto, type Sketch } from './sketch.ts'
import type { Window } from './window.ts'

const MINUTE_MS = 60_000

/** Of which smaller windows one is made; null: of minutes. */
const childOf: Record<Size, Size | null> = { '15m': null, '1h': '15m', '1d': '1h' }

export type WindowAt = (size: Size, at: number) => Window | null

/** The piece of a window, of its minutes or of the smaller windows in it; null when it is empty. */
export function pieceFor(
  { size, start }: Pick<Window, 'size' | 'start'>,
  minutes: ReadonlyMap<number, Minute>,
  windowAt: WindowAt,
  holdMaxMs: number,
): Piece | null {
  let piece: Piece | null = null
  const child = childOf[size]
  if (child === null) {
    for (const point of pointsIn(start, minutes)) {
      if (piece) append(piece, point.at, point.value, holdMaxMs)
      else piece = pieceOf(point)
    }
    return piece
  }
  for (const { piece: part } of partsOf(start, size, child, windowAt)) {
    if (part) piece = piece ? join(piece, part, holdMaxMs) : { ...part }
  }
  return piece
}

/**
 * Fills a window that was just made with what is in it: piece, percentiles, and what was before.
 */
export function fill(
  window: Window,
  minutes: ReadonlyMap<number, Minute>,
  windowAt: WindowAt,
  holdMaxMs: number,
): void {
  const { size, start, sketch } = window
  window.piece = pieceFor(window, minutes, windowAt, holdMaxMs)
  const child = childOf[size]
  if (child === null) {
    for (const { value } of pointsIn(start, minutes)) sketch.accept(value)
    return
  }
  const parts = [...partsOf(start, size, child, windowAt)]
  for (const part of parts) if (part.isLeft) mergeInto(sketch, part.sketch)
  window.before = parts[0]?.before ?? null
}

/** All values of a window, those of its parts that are open included. */
export function sketchOf(window: Window, windowAt: WindowAt): Sketch {
  const child = childOf[window.size]
  if (window.isLeft || child === null) return window.sketch
  const sketch = emptySketch()
  mergeInto(sketch, window.sketch)
  for (const part of partsOf(window.start, window.size, child, windowAt)) {
    if (!part.isLeft) mergeInto(sketch, sketchOf(part, windowAt))
  }
  return sketch
}

/** The windows that a left one's values go into: those around it that are open. */
export const parentOf: Record<Size, Size | null> = { '15m': '1h', '1h': '1d', '1d': null }

function* pointsIn(start: number, minutes: ReadonlyMap<number, Minute>) {
  for (let at = start; at < start + sizes['15m']; at += MINUTE_MS) {
    yield* minutes.get(at)?.points ?? []
  }
}

function* partsOf(start: number, size: Size, child: Size, windowAt: WindowAt) {
  for (let at = start; at < start + sizes[size]; at += sizes[child]) {
    const part = windowAt(child, at)
    if (part) yield part
  }
}
