import type { Effect } from '../state/state.ts'
import { aggregateOf } from './results.ts'
import { type SeriesAbout, windowKey } from './series.ts'
import type { Whole } from './whole.ts'

/** What is sent of a window: a newer one takes its place. */
export function tell(whole: Whole, about: SeriesAbout, topic: string, holdMaxMs: number): Effect {
  const { series, size, start } = whole
  const value = aggregateOf(whole, about, holdMaxMs)
  const name = [series.site, series.zone, series.device, series.metric, size, value.start]
  return {
    id: windowKey(series, size, start),
    topic,
    key: name.join('/'),
    value: Buffer.from(JSON.stringify(value)),
  }
}
