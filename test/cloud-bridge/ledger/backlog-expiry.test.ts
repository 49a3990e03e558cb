import { expect, it } from 'vitest'
import { assessGateways } from '../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../cloud-bridge/ledger/ledger.ts'
import { createTopicReader } from '../../../cloud-bridge/ledger/topics/topic-reader.ts'
import type { EventStream, ReadRecord } from '../../../cloud-bridge/ports/event-stream.ts'
import { encodeEvent } from '../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../config/event/events-fixture.ts'

const DAY_MS = 86_400_000
const START_MS = Date.UTC(2026, 0, 1)
const topics = { ledger: 'l', readings: 'r', backfill: 'b' }

const recordAt = (day: number, value: Buffer): Omit<ReadRecord, 'offset'> => ({
  ...{ partition: 0, appendTimeMs: START_MS + day * DAY_MS, key: null, value, headers: {} },
})
const event = (sequence: number, day: number) => {
  const identity = { gateway: 'gw', epoch: 1, sequence, zone: 'z', zoneSequence: sequence }
  const receivedAt = START_MS + day * DAY_MS
  return recordAt(day, encodeEvent({ ...goldenEvent, ...identity, receivedAt }))
}
const note = (sequence: number, kind: string, day: number, content: object, origin = 'outbox') => {
  const store = origin === 'outbox' ? 'aa' : 'bb'
  const facts = { gateway: 'gw', store, origin, sequence, at: START_MS + day * DAY_MS, kind }
  return recordAt(day, Buffer.from(JSON.stringify({ ...facts, content })))
}

/**
 * Kafka was unreachable on days 1 and 2. The events of those days, 4 to 6, went to the backfill
 * topic, and 7 to 9 went to the readings. Kafka deletes segments, not records: on day 10 the
 * segments of the backfill topic are deleted, those of the readings are not. `backfill` is the rest
 * of the backfill topic, from offset `begin` on.
 */
async function assessOnDay10(begin: number, backfill: Omit<ReadRecord, 'offset'>[]) {
  const deferral = { store: 'aa', from: 4, to: 6, why: 'backlog' }
  const records: Record<string, Omit<ReadRecord, 'offset'>[]> = {
    l: [
      note(1, 'epoch', 0, { gateway: 'gw', epoch: 1, firstSequence: 1, previous: null }),
      note(1, 'behind', 2, deferral, 'inbox'),
      note(2, 'caught up', 2, { ...deferral, behind: 1 }, 'inbox'),
      note(2, 'heads', 10, { epoch: 1, lastSequence: 9, zones: [['z', 9]] }),
    ],
    r: [event(1, 0), event(2, 0), event(3, 0), event(7, 9.9), event(8, 9.9), event(9, 9.9)],
    b: backfill,
  }
  const beginOf = (name: string) => (name === 'b' ? begin : 0)
  const stream: EventStream = {
    topicOffsets: async names =>
      new Map(
        names.map(name => {
          const end = new Map([[0, beginOf(name) + records[name]!.length]])
          return [name, { begin: new Map([[0, beginOf(name)]]), end }]
        }),
      ),
    async readBetween(name, from, _, onRecord) {
      for (const [index, record] of records[name]!.entries()) {
        const offset = beginOf(name) + index
        if (offset >= (from.get(0) ?? 0)) onRecord({ ...record, offset })
      }
    },
  }
  const ledger = createLedger()
  await createTopicReader({ stream, ledger, topics }).readToEnd()
  const { logStarts, backfillLogStarts } = ledger
  const options = { nowMs: START_MS + 10 * DAY_MS, silentAfterMs: 30_000, inFlightMaxEvents: 0 }
  const [found] = assessGateways(ledger.gateways.values(), {
    ...options,
    logStarts,
    backfillLogStarts,
  })
  return { missing: found!.missing, expired: found!.expired, state: found!.state }
}

it('a backlog that Kafka deleted is expired, not missing', async () => {
  const expired = { missing: 0, expired: 3, state: 'complete' }
  expect(await assessOnDay10(3, [])).toEqual(expired)
  expect(await assessOnDay10(3, [event(1, 9)])).toEqual(expired)
})

it('a number is missing if its backlog is still in Kafka without that number', async () => {
  expect(await assessOnDay10(0, [event(4, 2), event(6, 2)])).toMatchObject({ missing: 1 })
  // Kafka deleted records before the backlog.
  expect(await assessOnDay10(7, [event(4, 1.9), event(6, 1.9)])).toMatchObject({ missing: 1 })
})
