import { MINUTE_MS, type Minute } from '../model/aggregate.ts'
import type { Point } from '../model/partial-aggregate.ts'
import { copyOf, partialAggregateOf, type Quarter } from '../model/quarter.ts'
import { readQuarters, type TimeRange } from './quarters.ts'
import type { ListedSeries } from './series-list.ts'

/** The minutes of a series in a range with a value or in which the value before still counts. */
export async function* readMinutes(
  series: ListedSeries,
  { from, to }: TimeRange,
  holdMaxMs: number,
): AsyncGenerator<Minute> {
  const first = Math.floor(from / MINUTE_MS) * MINUTE_MS
  let before: Point | null = null
  let next = first
  const heldMinutes = function* (until: number): Generator<Minute> {
    if (!before) return
    const heldUntil = Math.min(until, before.at + holdMaxMs)
    const start = Math.max(next, (Math.floor(before.at / MINUTE_MS) + 1) * MINUTE_MS)
    for (let at = start; at < heldUntil; at += MINUTE_MS) {
      const bounds = { start: at, end: at + MINUTE_MS }
      yield { ...bounds, partial: null, values: [], before, atReceiptInQuarter: 0 }
    }
  }
  for await (const quarter of readQuarters(series, { from: first - holdMaxMs, to })) {
    for (const minute of minutesOf(quarter, holdMaxMs)) {
      if (minute.start >= to) break
      if (minute.end > first) {
        yield* heldMinutes(minute.start)
        yield minute
        next = minute.end
      }
      before = { at: minute.partial.lastAt, value: minute.partial.last }
    }
  }
  yield* heldMinutes(to)
}

function* minutesOf(quarter: Quarter, holdMaxMs: number) {
  const { times, values, atReceipt: atReceiptInQuarter } = quarter
  const meter = copyOf(quarter.meter)
  let { before } = quarter
  for (let from = 0, to = 0; from < times.length; from = to) {
    const start = Math.floor(times[from]! / MINUTE_MS) * MINUTE_MS
    const end = start + MINUTE_MS
    while (to < times.length && times[to]! < end) to++
    const partial = partialAggregateOf(quarter, holdMaxMs, { from, to, meter })
    yield { start, end, partial, values: values.slice(from, to), before, atReceiptInQuarter }
    before = { at: partial.lastAt, value: partial.last }
  }
}
