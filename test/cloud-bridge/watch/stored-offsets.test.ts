import { expect, it } from 'vitest'
import { createStoredOffsets } from '../../../cloud-bridge/watch/stored-offsets.ts'

const records = (firstOffset: number, count: number, partition = 0) => ({
  ...{ topic: 't', partition, firstOffset, count, appendTimeMs: null },
})
const endsAt = (end: number) => new Map([['t', { end: new Map([[0, end]]) }]])
const lost = { topic: 't', partition: 0, atMs: 7 }

it('finds no loss while offsets rise, also with gaps of other writers', () => {
  const offsets = createStoredOffsets(() => 7)
  offsets.stored(records(0, 3))
  offsets.stored(records(3, 2))
  offsets.stored(records(9, 1))
  for (let check = 0; check < 3; check++) offsets.compare(endsAt(10))
  offsets.compare(new Map())
  expect(offsets.lost).toEqual([])
})

it('finds a partition that continues at a lower offset', () => {
  const offsets = createStoredOffsets(() => 7)
  offsets.stored(records(0, 12))
  offsets.stored(records(0, 1))
  expect(offsets.lost).toEqual([{ ...lost, acknowledged: 12, end: 0 }])
  offsets.stored(records(1, 1))
  expect(offsets.lost).toHaveLength(1)
  offsets.forget('t')
  offsets.stored(records(2, 1))
  expect(offsets.lost).toEqual([])
})

it('finds an end that is too low twice in a row, and reports it once', () => {
  const offsets = createStoredOffsets(() => 7)
  offsets.stored(records(0, 12))
  offsets.compare(endsAt(5))
  offsets.compare(endsAt(12))
  offsets.compare(endsAt(5))
  expect(offsets.lost).toEqual([])
  offsets.compare(endsAt(5))
  expect(offsets.lost).toEqual([{ ...lost, acknowledged: 12, end: 5 }])
  offsets.forget('t')
  offsets.compare(endsAt(5))
  offsets.compare(endsAt(5))
  expect(offsets.lost).toEqual([])
  offsets.stored(records(0, 1, 1))
  offsets.compare(endsAt(5))
  offsets.compare(endsAt(5))
  expect(offsets.lost).toEqual([{ ...lost, partition: 1, acknowledged: 1, end: 0 }])
})
