import { expect, it, vi } from 'vitest'
import { startLagWatch } from '../../../cloud-bridge/consumers/lag.ts'
import type { EventStream } from '../../../cloud-bridge/ports/event-stream.ts'

it('the lag counts unprocessed records of the own partitions, by topic', async () => {
  const begin = new Map([[0, 5]])
  const end = new Map([
    [0, 20],
    [1, 30],
    [2, 40],
  ])
  const stream: EventStream = {
    topicOffsets: async topics => new Map(topics.map(topic => [topic, { begin, end }])),
    readBetween: async () => {},
  }
  const nextOffsets: Record<string, (number | null)[]> = {
    readings: [18, 30, null],
    backfill: [0, 0, null],
  }
  const ending = new AbortController()
  const onPolled = vi.fn()
  const lag = startLagWatch(
    stream,
    ['readings', 'backfill'],
    (topic, partition) => nextOffsets[topic]![partition]!,
    { signal: ending.signal, onPolled },
  )
  expect(lag).toEqual({ recordsByTopic: new Map(), atMs: 0 })
  await vi.waitFor(() => expect(onPolled).toHaveBeenCalledOnce())
  ending.abort()
  // Retention deleted offsets 0 to 4 of partition 0.
  const expected = new Map([
    ['readings', 2],
    ['backfill', 45],
  ])
  expect(lag.recordsByTopic).toEqual(expected)
  expect(lag.atMs).toBeGreaterThan(0)
})
