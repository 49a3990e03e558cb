import { describe, expect, it } from 'vitest'
import {
  createEffectRelay,
  type EffectRelayOptions,
} from '../../../../cloud-bridge/consumers/runtime/effect-relay.ts'
import type { PartitionState } from '../../../../cloud-bridge/consumers/state/state.ts'
import { NoSuchTopic } from '../../../../cloud-bridge/kafka/client.ts'
import { createMemorySink } from '../../../contracts/memory-sink.ts'
import {
  eventsOf,
  listedNumbers,
  live,
  never,
  openListing,
  recordsOf,
  temporaryStates,
} from './fixture.ts'

const bytes = (text: string) => Buffer.from(text)
const effectsOf = (...names: string[]) =>
  names.map(id => ({ id, topic: 'out', key: 'k', value: bytes(id) }))

function createTestRelay(more: Partial<EffectRelayOptions> = {}) {
  const sink = createMemorySink(100)
  sink.createTopic('out', 1)
  const reports: string[] = []
  const outage = Promise.withResolvers<string>()
  const effects = createEffectRelay({
    ...{ sink, signal: never, partitionsOf: async () => 1 },
    onSent: (topic, count) => reports.push(`${count} to ${topic}`),
    onRejected: ({ id }, reason) => reports.push(`${id} rejected: ${reason}`),
    onUnavailable: reason => reason !== null && outage.resolve(reason),
    ...more,
  })
  const arrived = () => sink.topics.get('out')![0]!.map(({ headers }) => headers!['sluice-effect'])
  return { sink, effects, reports, arrived, outage: outage.promise }
}

describe('effects', () => {
  it('are sent in order after the commit of their transaction, and then removed', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { effects, sink, reports, arrived } = createTestRelay()
    const committed: number[][] = []
    const send = sink.send
    sink.send = async batch => {
      committed.push(await listedNumbers(await state.reader(0)))
      return send(batch)
    }
    const onCommitted = (_: unknown, committed: PartitionState) => effects.wake(committed)
    const { add } = await openListing(state, { onCommitted })
    await add(live, recordsOf(eventsOf([1, 2, 3])))
    await effects.idle()
    expect(committed).toEqual([[1, 2, 3]])
    expect(arrived()).toEqual([1, 2, 3].map(number => `listing/e-${number}/0`))
    expect(reports).toEqual(['3 to out'])
    expect(await (await state.reader(0)).pendingEffects(10)).toEqual([])
  })

  it('wait during an outage of Kafka and a restart, and are sent at least once under their ids', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('c')
    const before = await state.claim(0)
    await before.commit({ effects: effectsOf('a', 'b') })
    const stopping = new AbortController()
    const first = createTestRelay({ signal: stopping.signal })
    first.sink.broken = 'nothing is acknowledged'
    first.effects.wake(before)
    expect(await first.outage).toBeTruthy()
    stopping.abort()
    await first.effects.idle()
    expect((await before.pendingEffects(10)).map(({ id }) => id)).toEqual(['a', 'b'])
    const after = await state.claim(0)
    const second = createTestRelay()
    second.sink.broken = 'nothing arrives'
    second.effects.wake(after)
    await second.outage
    await after.commit({ effects: effectsOf('c') })
    second.sink.broken = null
    await second.effects.idle()
    expect([first.arrived(), second.arrived()]).toEqual([
      ['a', 'b'],
      ['a', 'b', 'c'],
    ])
    expect(await after.pendingEffects(10)).toEqual([])
  })

  it('that Kafka rejects are reported and block nothing', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('c')
    const claimed = await state.claim(0)
    const [good, large] = effectsOf('good', 'large')
    await claimed.commit({ effects: [{ ...large!, value: Buffer.alloc(200) }, good!] })
    const { effects, reports, arrived } = createTestRelay()
    effects.wake(claimed)
    await effects.idle()
    expect(reports[0]).toContain('large rejected: ')
    expect(arrived()).toEqual(['good'])
    expect(await claimed.pendingEffects(10)).toEqual([])
  })

  it('wait for a missing topic, and stay with the current owner of the partition', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('c')
    const claimed = await state.claim(0)
    await claimed.commit({ effects: effectsOf('a') })
    let calls = 0
    const { effects, arrived, sink, outage } = createTestRelay({
      async partitionsOf() {
        if (++calls === 1) throw new NoSuchTopic('the topic does not exist')
        return 1
      },
    })
    const send = sink.send
    sink.send = async batch => {
      await state.claim(0)
      return send(batch)
    }
    effects.wake(claimed)
    await effects.idle()
    expect([calls, arrived()]).toEqual([2, ['a']])
    expect(await outage).toBe(
      'topic out: the topic does not exist. Create it: ./sluice doctor --create-topics',
    )
    expect((await (await state.reader(0)).pendingEffects(10)).length).toBe(1)
  })

  it('are not forgotten when they arrive while the last ones are removed', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('c')
    const claimed = await state.claim(0)
    const { effects, arrived } = createTestRelay()
    const names = Array.from({ length: 30 }, (_, at) => `${at}`)
    let remaining = [...names]
    // A new effect is committed at the very moment when no pending effect was found.
    const watched: PartitionState = {
      ...claimed,
      async pendingEffects(limit) {
        const pending = await claimed.pendingEffects(limit)
        const [next, ...others] = remaining
        if (pending.length === 0 && next !== undefined) {
          remaining = others
          await claimed.commit({ effects: effectsOf(next) })
          effects.wake(watched)
        }
        return pending
      },
    }
    effects.wake(watched)
    await effects.idle()
    expect(arrived()).toEqual(names)
  })
})
