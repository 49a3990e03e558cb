import type { Point } from './piece.ts'
import type { Minute } from './points.ts'
import type { SeriesAbout, SeriesName } from './series.ts'
import type { Window } from './window.ts'

/** A series as it is at work: its end, and the windows in which that lies. */
export type Series = SeriesName & {
  about: SeriesAbout
  /** Null before its first point. */
  last: Point | null
  minute: Minute | null
  /** By size, in the order of `sizeNames`. */
  open: (Window | null)[]
  /** Where it will end when what is loaded has been taken, if all of that is. */
  planned: Point | null
  /** Points of this batch that go before its last one. */
  late: Point[]
  /** It is not listed yet. */
  isNew: boolean
}
