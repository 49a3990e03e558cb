import { expect, it, vi } from 'vitest'
import { createLedger } from '../../../../cloud-bridge/ledger/ledger.ts'
import { createTopicReader } from '../../../../cloud-bridge/ledger/topics/topic-reader.ts'
import { createLedgerReading } from '../../../../cloud-bridge/ledger/verification.ts'
import type { EventStream, ReadRecord } from '../../../../cloud-bridge/ports/event-stream.ts'
import { encodeEvent } from '../../../../config/event/sensor-reading.ts'
import { openConfigDir } from '../../../config/config-fixture.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'

const topics = { ledger: 'l', readings: 'r' }
const BLOCK_EVENTS = 2048
const BLOCKS_MAX = 4096

const record = (offset: number, sequence: number, more = {}): ReadRecord => {
  const value = encodeEvent({ ...goldenEvent, sequence, zoneSequence: sequence, ...more })
  return { partition: 0, offset, appendTimeMs: 1000, key: null, value, headers: {} }
}

/** A stream with these readings; `reads` counts how often the readings are read from offset 0. */
function streamOf(readings: ReadRecord[], onRead = () => {}) {
  const counts = { reads: 0 }
  const stream: EventStream = {
    topicOffsets: async names =>
      new Map(
        names.map(name => {
          const end = name === 'r' ? readings.length : 0
          return [name, { begin: new Map([[0, 0]]), end: new Map([[0, end]]) }]
        }),
      ),
    async readBetween(name, from, _, onRecord) {
      if (name !== 'r') return
      if ((from.get(0) ?? 0) === 0) counts.reads++
      onRead()
      for (const reading of readings.slice(from.get(0) ?? 0)) onRecord(reading)
    },
  }
  return { stream, counts }
}

it('a duplicate of an event that is no longer in memory is compared by a second read', async () => {
  // One event of each block is enough to fill the memory with blocks.
  const many = Array.from({ length: BLOCKS_MAX + 1 }, (_, at) => record(at, 1 + at * BLOCK_EVENTS))
  const other = record(many.length, 1, { receivedAt: goldenEvent.receivedAt + 1 })
  const same = record(many.length + 1, 1 + BLOCK_EVENTS)
  const read = async (readings: ReadRecord[]) => {
    const { stream, counts } = streamOf(readings)
    const ledger = createLedger()
    await createTopicReader({ stream, ledger, topics }).readToEnd()
    const [gateway] = ledger.gateways.values()
    return [counts.reads, gateway!.duplicates, gateway!.conflicting]
  }
  expect(await read([...many, other, same])).toEqual([2, 2, 1])
  // The newest blocks need no second read.
  const newest = record(many.length, 1 + BLOCKS_MAX * BLOCK_EVENTS)
  expect(await read([...many, newest])).toEqual([1, 1, 0])
})

it('the moment of a read is that at which the ends of the topics were asked for', async () => {
  vi.useFakeTimers({ now: 5000, toFake: ['Date'] })
  try {
    const { stream } = streamOf([record(0, 1)], () => vi.setSystemTime(700_000))
    const reader = createTopicReader({ stream, ledger: createLedger(), topics })
    expect(await reader.readToEnd()).toBe(5000)
    expect(await reader.readToEnd()).toBe(700_000)
    vi.setSystemTime(5000)
    using dir = openConfigDir()
    const kafka = {
      brokers: ['127.0.0.1:1'],
      topics: { ...topics, backfill: 'b', deadletters: 'd' },
    }
    const config = dir.configOf(JSON.stringify({ kafka }))
    const { signal } = new AbortController()
    const reading = createLedgerReading({ config, signal, onProblem: () => {} }, stream)
    await reading.readToEnd()
    expect(reading.report().at).toBe(5000)
  } finally {
    vi.useRealTimers()
  }
})
