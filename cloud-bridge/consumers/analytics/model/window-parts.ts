import { mergeAll, type PartialAggregate } from './partial-aggregate.ts'
import { addValuesToSketch, partialAggregateOf, type Quarter } from './quarter.ts'
import { emptySketch, mergeInto, type Sketch } from './sketch.ts'
import type { Window } from './window.ts'

/** A part of a longer window. */
export type WindowPart = Quarter | Window

/** Merges consecutive parts, given in order of time. `partial` is null when there are none. */
export function mergeParts(
  parts: readonly WindowPart[],
  holdMaxMs: number,
): { partial: PartialAggregate | null; sketch: Sketch } {
  const sketch = emptySketch()
  for (const part of parts) {
    if ('times' in part) addValuesToSketch(sketch, part)
    else mergeInto(sketch, part.sketch)
  }
  return { partial: mergePartials(parts, holdMaxMs), sketch }
}

/**
 * Merges the partial aggregates of consecutive parts, given in order of time. Null when there are
 * no parts, or when no part has a partial aggregate.
 */
export function mergePartials(
  parts: readonly WindowPart[],
  holdMaxMs: number,
): PartialAggregate | null {
  const partials = parts.map(part =>
    'times' in part ? partialAggregateOf(part, holdMaxMs) : part.partial,
  )
  return mergeAll(partials, holdMaxMs)
}
