import { describe, expect, it } from 'vitest'
import {
  createEffectRelay,
  type EffectRelayOptions,
} from '../../../../cloud-bridge/consumers/runtime/effect-relay.ts'
import type { PartitionState } from '../../../../cloud-bridge/consumers/state/state.ts'
import { createMemorySink } from '../../../contracts/memory-sink.ts'
import {
  eventsOf,
  listed,
  live,
  never,
  openListing,
  recordsOf,
  temporaryStates,
} from './fixture.ts'

const bytes = (text: string) => Buffer.from(text)
const effectsOf = (...names: string[]) =>
  names.map(id => ({ id, topic: 'out', key: 'k', value: bytes(id) }))

function startSending(more: Partial<EffectRelayOptions> = {}) {
  const sink = createMemorySink(100)
  sink.createTopic('out', 1)
  const told: string[] = []
  const away = Promise.withResolvers<string>()
  const effects = createEffectRelay({
    ...{ sink, signal: never, partitionsOf: async () => 1 },
    onSent: (topic, count) => told.push(`${count} to ${topic}`),
    onRejected: ({ id }, reason) => told.push(`${id} refused: ${reason}`),
    onUnavailable: reason => reason !== null && away.resolve(reason),
    ...more,
  })
  const arrived = () => sink.topics.get('out')![0]!.map(({ headers }) => headers!['sluice-effect'])
  return { sink, effects, told, arrived, isAway: away.promise }
}

describe('effects', () => {
  it('are sent after what they came from is committed, in order, and are gone then', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('listing')
    const { effects, sink, told, arrived } = startSending()
    const committed: number[][] = []
    const send = sink.send
    sink.send = async batch => {
      committed.push(await listed(await state.reader(0)))
      return send(batch)
    }
    const { take } = await openListing(state, { onCommitted: (_, one) => effects.wake(one) })
    await take(live, recordsOf(eventsOf([1, 2, 3])))
    await effects.idle()
    expect(committed).toEqual([[1, 2, 3]])
    expect(arrived()).toEqual([1, 2, 3].map(number => `listing/e-${number}/0`))
    expect(told).toEqual(['3 to out'])
    expect(await (await state.reader(0)).pendingEffects(10)).toEqual([])
  })

  it('wait while Kafka is away, through a restart, and go at least once under their ids', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('c')
    const before = await state.claim(0)
    await before.commit({ effects: effectsOf('a', 'b') })
    const stopping = new AbortController()
    const first = startSending({ signal: stopping.signal })
    first.sink.broken = 'nothing is acknowledged'
    first.effects.wake(before)
    expect(await first.isAway).toBeTruthy()
    stopping.abort()
    await first.effects.idle()
    expect((await before.pendingEffects(10)).map(({ id }) => id)).toEqual(['a', 'b'])
    const after = await state.claim(0)
    const second = startSending()
    second.sink.broken = 'nothing arrives'
    second.effects.wake(after)
    await second.isAway
    await after.commit({ effects: effectsOf('c') })
    second.sink.broken = null
    await second.effects.idle()
    expect([first.arrived(), second.arrived()]).toEqual([
      ['a', 'b'],
      ['a', 'b', 'c'],
    ])
    expect(await after.pendingEffects(10)).toEqual([])
  })

  it('that Kafka will never take are told and hold nothing up', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('c')
    const claimed = await state.claim(0)
    const [good, large] = effectsOf('good', 'large')
    await claimed.commit({ effects: [{ ...large!, value: Buffer.alloc(200) }, good!] })
    const { effects, told, arrived } = startSending()
    effects.wake(claimed)
    await effects.idle()
    expect(told[0]).toContain('large refused: ')
    expect(arrived()).toEqual(['good'])
    expect(await claimed.pendingEffects(10)).toEqual([])
  })

  it('wait for a topic that is not there, and stay with who has the partition now', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('c')
    const claimed = await state.claim(0)
    await claimed.commit({ effects: effectsOf('a') })
    let asked = 0
    const { effects, arrived, sink } = startSending({
      async partitionsOf() {
        if (++asked === 1) throw new Error('no such topic')
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
    expect([asked, arrived()]).toEqual([2, ['a']])
    expect((await (await state.reader(0)).pendingEffects(10)).length).toBe(1)
  })

  it('are not forgotten when they come while the last ones are taken out', async () => {
    await using states = temporaryStates()
    await using state = await states.store.open('c')
    const claimed = await state.claim(0)
    const { effects, arrived } = startSending()
    const names = Array.from({ length: 30 }, (_, at) => `${at}`)
    let left = [...names]
    // Something new comes at the very moment when nothing was found to wait.
    const watched: PartitionState = {
      ...claimed,
      async pendingEffects(limit) {
        const waiting = await claimed.pendingEffects(limit)
        const [next, ...others] = left
        if (waiting.length === 0 && next !== undefined) {
          left = others
          await claimed.commit({ effects: effectsOf(next) })
          effects.wake(watched)
        }
        return waiting
      },
    }
    effects.wake(watched)
    await effects.idle()
    expect(arrived()).toEqual(names)
  })
})
