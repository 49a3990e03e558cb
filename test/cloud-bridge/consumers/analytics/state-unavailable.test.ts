import { expect, it } from 'vitest'
import { createAnalytics } from '../../../../cloud-bridge/consumers/analytics/analytics.ts'
import { readTotals } from '../../../../cloud-bridge/consumers/analytics/api/totals.ts'
import { createDependencyRetry } from '../../../../cloud-bridge/consumers/runtime/dependency-retry.ts'
import { createRecordDecoder } from '../../../../cloud-bridge/consumers/runtime/record-decoder.ts'
import { openStatefulWork } from '../../../../cloud-bridge/consumers/runtime/stateful-work.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import {
  type ConsumerStateAccess,
  type PartitionState,
  StateUnavailable,
} from '../../../../cloud-bridge/consumers/state/state.ts'
import { createEventReader } from '../../../../cloud-bridge/registry/event-reader.ts'
import { encodeEvent } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { temporary } from '../../../gateway/store/fixture.ts'
import { apiContext } from './analytics-fixture.ts'

const NOW = Date.UTC(2026, 10, 23, 12)
const HOLD_MAX_MS = 3_600_000
const never = new AbortController().signal
const measurements = [{ metric: 'a', number: 1, flag: null, text: null, unit: null }]

const recordsOf = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => {
    const number = from + at + 1
    const time = { receivedAt: NOW + number * 1000, observedAt: null, clock: 'SYNCED' as const }
    const event = { ...goldenEvent, ...time, sequence: number, zoneSequence: number, measurements }
    const position = { partition: 0, offset: from + at, appendTimeMs: NOW + 100_000 }
    return { ...position, key: null, headers: {}, value: encodeEvent(event) }
  })

/** Analytics on a state that is unavailable for the nth read of points or windows. */
const openWork = (state: ConsumerStateAccess, failingRead = 0) =>
  openStatefulWork({
    ...{ name: 'analytics', state, partition: 0, deadLetterTopic: 'd' },
    decodeRecords: createRecordDecoder(createEventReader(null), ['readings']),
    createHandling: async claimed => {
      let reads = 0
      const flaky: PartitionState = {
        ...claimed,
        range(keys) {
          const isOfSeries = /^(points|window)/.test(keys.from)
          if (isOfSeries && ++reads === failingRead) {
            return Promise.reject(new StateUnavailable('PostgreSQL: away'))
          }
          return claimed.range(keys)
        },
      }
      return createAnalytics(flaky, {
        ...{ topic: 'aggregates', publish: [], latenessMs: 0, holdMaxMs: HOLD_MAX_MS },
        ...{ seriesMax: 1000, clockWaitMs: 1e9, onImplausibleValues() {} },
        clockOffsets: { offsetOf: () => null },
      })
    },
    retryWhileUnavailable: createDependencyRetry(() => {}),
    ...{ onCommitted() {}, onEnded() {} },
  })

it.each([1, 2, 3])(
  'a state that is unavailable for read %i after a restart costs no point',
  async failingRead => {
    using place = temporary()
    await using store = openSqliteStates(place.dir)
    await using state = await store.open('analytics')
    const first = await openWork(state)
    await first.processRecords('readings', recordsOf(0, 10), never)
    const second = await openWork(state, failingRead)
    await expect(second.processRecords('readings', recordsOf(10, 20), never)).rejects.toThrow(
      StateUnavailable,
    )
    const third = await openWork(state)
    expect(third.nextOffsets.get('readings')).toBe(10)
    await third.processRecords('readings', recordsOf(10, 20), never)
    const { metrics } = await readTotals(state, apiContext)
    expect(metrics).toEqual([{ metric: 'a', count: 20, sum: 20 }])
  },
)
