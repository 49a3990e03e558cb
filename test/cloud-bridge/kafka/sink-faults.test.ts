import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { startCircuit } from '../../../cloud-bridge/circuit.ts'
import { type Batch, startDelivery } from '../../../cloud-bridge/forwarder.ts'
import { expectedTexts, record, textsIn } from '../../contracts/event-sink.ts'
import { api, type Frame } from '../../faults/framing.ts'
import type { Verdict } from '../../faults/proxy.ts'
import { describeWithKafka, freshTopic, openSink, readTopic } from '../../setup/kafka.ts'
import { type ProxiedKafka, startProxiedKafka } from '../../setup/proxied-kafka.ts'

// What is proven here by what a fresh reader finds: lost 0, raw duplicates 0, order kept.
describeWithKafka('the sink on kafkajs through faults', () => {
  let on: ProxiedKafka
  beforeAll(async () => {
    on = await startProxiedKafka()
  })
  afterAll(() => on?.[Symbol.asyncDispose]())
  afterEach(() => on.proxy.heal())

  /** Sends batch after batch as the bridge does, and compares the topic with what was sent. */
  async function deliverAll(partitions: number, count: number, beforeEachSend?: BeforeSend) {
    const topic = await freshTopic(on.direct, partitions)
    const reasons: string[] = []
    await using sink = await openSink(on.proxied)
    const deliver = startDelivery({
      sink,
      signal: new AbortController().signal,
      circuit: startCircuit({ firstMs: 50, maxMs: 500, stableMs: 0 }),
      onUnavailable: reason => void reasons.push(reason),
    })
    const batches = Array.from({ length: count }, (_, index) => batchOf(topic, partitions, index))
    for (const [index, batch] of batches.entries()) {
      await beforeEachSend?.(index)
      expect(await deliver(batch)).toEqual(batch.records.map(() => null))
    }
    const sent = batches.flatMap(({ records }) => records)
    expect(textsIn(await readTopic(on.direct, topic))).toEqual(expectedTexts(partitions, sent))
    // A send that is given up unsettled costs the producer, and with it the guarantee.
    expect(reasons.filter(reason => reason.startsWith('no answer for'))).toEqual([])
    return reasons.length
  }
  type BeforeSend = (index: number) => void | Promise<void>

  /** Judges the answers to produce requests by their number, from 0 on. */
  function judgeAcks(judge: (number: number) => Verdict) {
    let number = 0
    const verdictOn = (frame: Frame) => (frame.api === api.produce ? judge(number++) : 'pass')
    on.proxy.judge({ responses: verdictOn })
  }

  describe.each([1, 6])('with %i partitions', partitions => {
    describe.each(['drop', 'cut'] as const)('acknowledgements lost by %s', loss => {
      it('one', async () => {
        judgeAcks(number => (number === 1 ? loss : 'pass'))
        await deliverAll(partitions, 4)
      })

      it('so many in a row that the client gives up, twice', async () => {
        judgeAcks(number => (number > 0 && number < 6 ? loss : 'pass'))
        expect(await deliverAll(partitions, 4)).toBeGreaterThanOrEqual(2)
      })
    })

    it('one in three acknowledgements cut, at random', async () => {
      const random = seeded(partitions)
      judgeAcks(() => (random() < 1 / 3 ? 'cut' : 'pass'))
      expect(await deliverAll(partitions, 40)).toBeGreaterThan(0)
    })

    it('a request that never arrives', async () => {
      let number = 0
      const judge = (frame: Frame) => (frame.api === api.produce ? number++ : -1)
      on.proxy.judge({ requests: frame => ([1, 2].includes(judge(frame)) ? 'drop' : 'pass') })
      expect(await deliverAll(partitions, 4)).toBeGreaterThan(0)
    })

    it('connections that are half-open', async () => {
      const freezeOnce = (index: number) => index === 2 && on.proxy.freezeOld()
      expect(await deliverAll(partitions, 4, index => void freezeOnce(index))).toBeGreaterThan(0)
    })

    it('connections that are half-open after a lost acknowledgement', async () => {
      judgeAcks(number => {
        if (number === 1) on.proxy.freezeOld()
        return 'pass'
      })
      expect(await deliverAll(partitions, 4)).toBeGreaterThan(0)
    })

    it('a network that swallows every answer for a while', async () => {
      let swallowed = 0
      const swallow = () => (swallowed++ < 8 ? 'drop' : 'pass')
      const begin = (index: number) => index === 2 && on.proxy.judge({ responses: swallow })
      expect(await deliverAll(partitions, 4, index => void begin(index))).toBeGreaterThan(0)
    })

    it('kill -9 before an acknowledgement, and a restart', { timeout: 60_000 }, async () => {
      let crash: Promise<void> | undefined
      judgeAcks(number => {
        if (number === 1) crash = on.kafka.kill().then(on.kafka.restart)
        return number === 1 ? 'cut' : 'pass'
      })
      expect(await deliverAll(partitions, 6)).toBeGreaterThan(0)
      await crash
    })

    it('a broker that hangs for 8 s', { timeout: 60_000 }, async () => {
      const hang = async (index: number) => {
        if (index !== 2) return
        on.kafka.suspend()
        sleep(8000).then(on.kafka.resume)
      }
      expect(await deliverAll(partitions, 6, hang)).toBeGreaterThan(0)
    })
  })

  it('stays idempotent when its first connects failed half-way', async () => {
    const topic = await freshTopic(on.direct, 1)
    await using sink = await openSink(on.proxied)
    const batch = batchOf(topic, 1, 0)
    on.proxy.judge({ responses: frame => (frame.api === api.initProducerId ? 'cut' : 'pass') })
    await expect(sink.send(batch)).rejects.toThrow()
    await expect(sink.send(batch)).rejects.toThrow()
    judgeAcks(number => (number < 5 ? 'cut' : 'pass'))
    const deliver = startDelivery({
      sink,
      signal: new AbortController().signal,
      circuit: startCircuit({ firstMs: 10, maxMs: 10, stableMs: 0 }),
      onUnavailable: () => {},
    })
    await deliver(batch)
    expect(textsIn(await readTopic(on.direct, topic))).toEqual(expectedTexts(1, batch.records))
  })

  it('leaves a send that does not settle to itself, and loses nothing', async () => {
    const topic = await freshTopic(on.direct, 1)
    const sent: string[] = []
    let isAbandoned = false
    const sink = await openSink({ ...on.proxied, requestTimeoutMs: 200 })
    const deliver = startDelivery({
      sink,
      signal: new AbortController().signal,
      circuit: startCircuit({ firstMs: 50, maxMs: 50, stableMs: 0 }),
      onUnavailable: reason => {
        isAbandoned ||= reason.startsWith('no answer for')
        on.proxy.heal()
      },
    })
    for (let index = 0; index < 30 && !isAbandoned; index++) {
      // The first try ends by its timeout; the second is cut, and then the client asks anew for
      // versions and metadata, which makes it longer than we wait for it.
      let produced = 0
      const verdictOn = ({ api: of }: Frame): Verdict => {
        if (of === api.produce) return produced++ % 2 === 0 ? 'drop' : 'cut'
        return of === api.metadata ? 'drop' : { delayMs: 180 }
      }
      if (index > 0) on.proxy.judge({ responses: verdictOn })
      const batch = batchOf(topic, 1, index)
      await deliver(batch)
      sent.push(...textsIn([[...batch.records]]).flat())
    }
    const last = batchOf(topic, 1, 99)
    await deliver(last)
    sent.push(...textsIn([[...last.records]]).flat())
    expect(isAbandoned).toBe(true)
    // What was abandoned may be written again, at any time later: the event ids are there for that.
    const [found] = textsIn(await readTopic(on.direct, topic))
    expect([...new Set(found)]).toEqual(sent)
    await sink[Symbol.asyncDispose]()
    await vi.waitFor(() => expect(on.proxy.open).toBe(0), { timeout: 10_000 })
  })

  describe('a send of which Kafka refuses a part', () => {
    const huge = (partition: number) => ({
      ...record(partition, ''),
      value: randomBytes(1_100_000),
    })

    it.each([
      ['and then the same partition gets as many', ['c', 'd']],
      ['and then the same partition gets fewer', ['c']],
      ['and then the same partition gets more', ['c', 'd', 'e']],
    ])('%s', async (_, next) => {
      const topic = await freshTopic(on.direct, 2)
      await using sink = await openSink(on.proxied)
      const parted = { topic, records: [record(0, 'a'), record(0, 'b'), huge(1)] }
      expect(await sink.send(parted)).toEqual([null, null, expect.any(String)])
      const records = next.map(text => record(0, text))
      expect(await sink.send({ topic, records })).toEqual(records.map(() => null))
      expect(textsIn(await readTopic(on.direct, topic))).toEqual([['a', 'b', ...next], []])
    })

    it('and an acknowledgement is lost while the rest is sent', async () => {
      const topic = await freshTopic(on.direct, 2)
      await using sink = await openSink(on.proxied)
      await sink.send({ topic, records: [record(0, 'x'), record(1, 'y')] })
      const lost = new Set([1, 2, 5])
      judgeAcks(number => (lost.has(number) ? 'cut' : 'pass'))
      const records = [record(0, 'a'), record(1, 'c'), huge(1), record(0, 'b'), record(1, 'd')]
      const deliver = startDelivery({
        sink,
        signal: new AbortController().signal,
        circuit: startCircuit({ firstMs: 10, maxMs: 10, stableMs: 0 }),
        onUnavailable: () => {},
      })
      const fates = await deliver({ topic, records })
      expect(fates?.map(fate => fate !== null)).toEqual([false, false, true, false, false])
      expect(textsIn(await readTopic(on.direct, topic))).toEqual([
        ['x', 'a', 'b'],
        ['y', 'c', 'd'],
      ])
    })
  })
})

/** Each batch goes to every partition, in numbers that differ, and no record is like another. */
function batchOf(topic: string, partitions: number, index: number): Batch {
  const records = Array.from({ length: partitions * 3 - (index % 2) }, (_, at) =>
    record((at * 5 + index) % partitions, `${index}.${at}`),
  )
  return { topic, records }
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
