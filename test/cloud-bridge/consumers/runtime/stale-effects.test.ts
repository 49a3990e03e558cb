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

/** A Kafka that may be away, and every batch that was tried on it. */
function startSink({ isAway = false } = {}) {
  const tried: Batch[] = []
  const sink: EventSink = {
    async send(batch) {
      tried.push(batch)
      if (kafka.isAway) throw new SinkUnavailable('no answer')
      kafka.onTaken(batch)
      return batch.records.map(() => null)
    },
    isolate: batch => ({ batch, sink: { ...sink, async [Symbol.asyncDispose]() {} } }),
  }
  const kafka = { isAway, sink, tried, onTaken: (_: Batch) => {} }
  return kafka
}

const effectsOn = ({ sink }: { sink: EventSink }) =>
  createEffectRelay({
    ...{ sink, partitionsOf: async () => 1, signal: never },
    ...{ onSent() {}, onRejected() {}, onUnavailable() {} },
  })

it('a member that lost its partition while Kafka was away does not overwrite the newer aggregate', async () => {
  using place = temporary()
  await using store = openSqliteStates(place.dir)
  await using state = await store.open('analytics')
  const topic: string[] = []
  const [older, newer] = [startSink({ isAway: true }), startSink()]
  for (const one of [older, newer]) {
    one.onTaken = ({ records }) => topic.push(...records.map(({ value }) => value.toString()))
  }
  const old = await state.claim(0)
  await old.commit({ effects: window('count 10') })
  const oldEffects = effectsOn(older)
  oldEffects.wake(old)
  await vi.waitFor(() => expect(older.tried.length).toBeGreaterThan(0))
  // The group shares out anew: another has the partition, and the window was amended.
  const now = await state.claim(0)
  await now.commit({ effects: window('count 11, amended') })
  const newEffects = effectsOn(newer)
  newEffects.wake(now)
  await newEffects.idle()
  older.isAway = false
  await oldEffects.idle()
  expect(topic).toEqual(['count 11, amended'])
})

it('what may have arrived goes again unchanged, though nobody can tell whose the partition is', async () => {
  using place = temporary()
  await using store = openSqliteStates(place.dir)
  await using state = await store.open('analytics')
  const claimed = await state.claim(0)
  await claimed.commit({ effects: window('count 10') })
  const kafka = startSink({ isAway: true })
  let isStateAway = false
  const flaky: PartitionState = {
    ...claimed,
    commit: changes =>
      isStateAway
        ? Promise.reject(new StateUnavailable('PostgreSQL: away'))
        : claimed.commit(changes),
  }
  const effects = effectsOn(kafka)
  effects.wake(flaky)
  await vi.waitFor(() => expect(kafka.tried.length).toBeGreaterThan(0))
  isStateAway = true
  const tries = kafka.tried.length
  await vi.waitFor(() => expect(kafka.tried.length).toBeGreaterThan(tries + 1), 5000)
  kafka.isAway = false
  isStateAway = false
  await effects.idle()
  // Another batch through that producer might be acknowledged and never written.
  expect(new Set(kafka.tried).size).toBe(1)
  expect(await claimed.pendingEffects(10)).toEqual([])
})
