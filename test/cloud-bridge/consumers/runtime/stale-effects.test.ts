import { expect, it, vi } from 'vitest'
import { createEffectRelay } from '../../../../cloud-bridge/consumers/runtime/effect-relay.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import {
  type PartitionState,
  StateUnavailable,
} from '../../../../cloud-bridge/consumers/state/state.ts'
import {
  type Batch,
  type EventSink,
  SinkUnavailable,
} from '../../../../cloud-bridge/ports/event-sink.ts'
import { temporary } from '../../../gateway/store/fixture.ts'

const never = new AbortController().signal
const window = (value: string) => [
  { id: 'w', topic: 'aggregates', key: 'w', value: Buffer.from(value) },
]

/** A sink that can be unavailable, and every batch that a caller tried to send through the sink. */
function createSink({ isUnavailable = false } = {}) {
  const tried: Batch[] = []
  const sink: EventSink = {
    async send(batch) {
      tried.push(batch)
      if (kafka.isUnavailable) throw new SinkUnavailable('no answer')
      kafka.onAccepted(batch)
      return batch.records.map(() => null)
    },
    isolate: batch => ({ batch, sink: { ...sink, async [Symbol.asyncDispose]() {} } }),
  }
  const kafka = { isUnavailable, sink, tried, onAccepted: (_: Batch) => {} }
  return kafka
}

const createRelayOn = ({ sink }: { sink: EventSink }) =>
  createEffectRelay({
    ...{ sink, partitionsOf: async () => 1, signal: never },
    ...{ onSent() {}, onRejected() {}, onUnavailable() {} },
  })

it('a member that lost its partition during an outage of Kafka does not overwrite a newer aggregate', async () => {
  using place = temporary()
  await using store = openSqliteStates(place.dir)
  await using state = await store.open('analytics')
  const topic: string[] = []
  const [older, newer] = [createSink({ isUnavailable: true }), createSink()]
  for (const sink of [older, newer]) {
    sink.onAccepted = ({ records }) => topic.push(...records.map(({ value }) => value.toString()))
  }
  const olderState = await state.claim(0)
  await olderState.commit({ effects: window('count 10') })
  const olderRelay = createRelayOn(older)
  olderRelay.wake(olderState)
  await vi.waitFor(() => expect(older.tried.length).toBeGreaterThan(0))
  // A rebalance: another member owns the partition, and the window was amended.
  const newerState = await state.claim(0)
  await newerState.commit({ effects: window('count 11, amended') })
  const newerRelay = createRelayOn(newer)
  newerRelay.wake(newerState)
  await newerRelay.idle()
  older.isUnavailable = false
  await olderRelay.idle()
  expect(topic).toEqual(['count 11, amended'])
})

it('a batch that may have arrived is repeated unchanged while the owner of the partition is unknown', async () => {
  using place = temporary()
  await using store = openSqliteStates(place.dir)
  await using state = await store.open('analytics')
  const claimed = await state.claim(0)
  await claimed.commit({ effects: window('count 10') })
  const kafka = createSink({ isUnavailable: true })
  let isStateUnavailable = false
  const flaky: PartitionState = {
    ...claimed,
    commit: changes =>
      isStateUnavailable
        ? Promise.reject(new StateUnavailable('PostgreSQL: unavailable'))
        : claimed.commit(changes),
  }
  const effects = createRelayOn(kafka)
  effects.wake(flaky)
  await vi.waitFor(() => expect(kafka.tried.length).toBeGreaterThan(0))
  isStateUnavailable = true
  const tries = kafka.tried.length
  await vi.waitFor(() => expect(kafka.tried.length).toBeGreaterThan(tries + 1), 5000)
  kafka.isUnavailable = false
  isStateUnavailable = false
  await effects.idle()
  // Another batch through the same producer could be acknowledged and never written.
  expect(new Set(kafka.tried).size).toBe(1)
  expect(await claimed.pendingEffects(10)).toEqual([])
})
