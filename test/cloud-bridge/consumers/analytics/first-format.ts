import { windowBoundsOf } from '../../../../cloud-bridge/consumers/analytics/memory/window-cache.ts'
import { unpackBlock } from '../../../../cloud-bridge/consumers/analytics/model/block.ts'
import { utcCalendar } from '../../../../cloud-bridge/consumers/analytics/model/calendar.ts'
import { packSketch } from '../../../../cloud-bridge/consumers/analytics/model/sketch.ts'
import { unpackWindow } from '../../../../cloud-bridge/consumers/analytics/model/window.ts'
import type { LongWindowSize } from '../../../../cloud-bridge/consumers/analytics/model/window-sizes.ts'
import { statusKey } from '../../../../cloud-bridge/consumers/analytics/partition-status.ts'
import { seriesNameIn } from '../../../../cloud-bridge/consumers/analytics/series-catalogue.ts'
import {
  keyOf,
  keysWithPrefix,
  lastTimeOfKey,
  partsOf,
} from '../../../../cloud-bridge/consumers/state/row-keys.ts'
import type { PartitionState } from '../../../../cloud-bridge/consumers/state/state.ts'

/**
 * The rows of a state as the first version wrote them: points without sequences and meters, windows
 * of 16 numbers, and no rows `layout` and `status`.
 */
export async function firstFormatRows(state: Pick<PartitionState, 'range'>) {
  const rows = new Map<string, Buffer | null>([
    [keyOf('layout'), null],
    [statusKey, null],
  ])
  for (const { key, value } of await state.range(keysWithPrefix('points'))) {
    rows.set(key, firstFormatBlock(lastTimeOfKey(key), value))
  }
  for (const { key, value } of await state.range(keysWithPrefix('window'))) {
    rows.set(key, firstFormatWindow(key, value))
  }
  return rows
}

function firstFormatBlock(start: number, value: Buffer): Buffer {
  const { block, endBlockStarts } = unpackBlock(start, value)
  const chunks: Buffer[] = []
  const addHead = (metric: string, counts: number[]) => {
    const name = Buffer.from(metric)
    const head = Buffer.alloc(2 + name.length + 12)
    head.writeUInt16LE(name.length)
    name.copy(head, 2)
    for (const [nth, count] of counts.entries())
      head.writeUInt32LE(count, 2 + name.length + nth * 4)
    chunks.push(head)
  }
  const addDoubles = (...numbers: number[]) =>
    chunks.push(Buffer.from(Float64Array.from(numbers).buffer))
  for (const [metric, { before, times, values, publishedCount, amended }] of block.quarters) {
    addHead(metric, [times.length, publishedCount, amended])
    addDoubles(before?.at ?? Number.NaN, before?.value ?? Number.NaN)
    chunks.push(Buffer.from(Uint32Array.from(times.map(time => time - start)).buffer))
    addDoubles(...values)
  }
  for (const [metric, end] of endBlockStarts) {
    if (block.quarters.has(metric)) continue
    addHead(metric, [0, 0, 0])
    addDoubles(end)
  }
  return Buffer.concat(chunks)
}

function firstFormatWindow(key: string, value: Buffer): Buffer {
  const [, size, ...name] = partsOf(key) as [string, LongWindowSize, ...string[]]
  const series = seriesNameIn(keyOf('series', ...name.slice(0, -1)))
  const bounds = windowBoundsOf(utcCalendar, size, lastTimeOfKey(key))
  const { partial, before, sketch, publishedCount, amended } = unpackWindow(
    series,
    size,
    bounds,
    value,
  )
  const p = partial!
  const numbers = [
    ...[p.count, p.sum, p.min, p.max, p.firstAt, p.first, p.lastAt, p.last],
    ...[p.knownMs, p.area, p.positiveMs, 0, before?.at ?? Number.NaN, before?.value ?? Number.NaN],
    ...[publishedCount, amended],
  ]
  return Buffer.concat([Buffer.from(Float64Array.from(numbers).buffer), packSketch(sketch)])
}
