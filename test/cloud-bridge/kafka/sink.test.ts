import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createDelivery } from '../../../cloud-bridge/forward/forwarder.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import type { Batch, StoredRecords } from '../../../cloud-bridge/ports/event-sink.ts'
import { createCircuitBreaker } from '../../../cloud-bridge/retry/circuit-breaker.ts'
import { describeEventSink, expectedTexts, record, textsIn } from '../../contracts/event-sink.ts'
import { apiKeys, type Frame } from '../../faults/framing.ts'
import { producePartitions } from '../../faults/produce-request.ts'
import type { Verdict } from '../../faults/proxy.ts'
import {
  clients,
  describeWithKafka,
  freshTopic,
  openKafkaSink,
  readTopic,
} from '../../setup/kafka/kafka.ts'
import { type ProxiedKafka, startProxiedKafka } from '../../setup/kafka/proxied-kafka.ts'
import { createTopicWith } from '../../setup/kafka/topic-settings.ts'

describeWithKafka('on a real Kafka', () => {
  let on: ProxiedKafka
  beforeAll(async () => {
    on = await startProxiedKafka()
  })
  afterAll(() => on?.[Symbol.asyncDispose]())

  for (const client of clients) {
    describeEventSink(`on ${client}`, async () => {
      const sink = await openKafkaSink({ ...on.proxied, client })
      return {
        sink,
        tooLargeBytes: 1_100_000,
        topic: partitions => freshTopic(on.direct, partitions),
        read: topic => readTopic(on.direct, topic),
        breakDown(how) {
          if (how === 'nothing arrives') on.proxy.refuse()
          else
            on.proxy.judge({ responses: frame => (frame.api === apiKeys.produce ? 'cut' : 'pass') })
        },
        stick(partition) {
          const isForIt = (frame: Frame) =>
            frame.api === apiKeys.produce && producePartitions(frame).includes(partition)
          on.proxy.judge({ requests: frame => (isForIt(frame) ? 'cut' : 'pass') })
        },
        repair: () => on.proxy.restore(),
        async [Symbol.asyncDispose]() {
          await sink[Symbol.asyncDispose]()
          on.proxy.restore()
        },
      }
    })
  }

  describe.each(clients)('a send through %s', client => {
    afterEach(() => on.proxy.restore())

    it('is idempotent after its first connects failed half-way', async () => {
      const topic = await freshTopic(on.direct, 1)
      await using sink = await openKafkaSink({ ...on.proxied, client })
      const batch = batchOf(topic, 0)
      on.proxy.judge({
        responses: frame => (frame.api === apiKeys.initProducerId ? 'cut' : 'pass'),
      })
      await expect(sink.send(batch)).rejects.toThrow()
      await expect(sink.send(batch)).rejects.toThrow()
      judgeAcks(number => (number < 5 ? 'cut' : 'pass'))
      const deliver = createDelivery({
        sink,
        signal: new AbortController().signal,
        circuit: createCircuitBreaker({ firstMs: 10, maxMs: 10, stableMs: 0 }),
        onUnavailable: () => {},
      })
      await deliver(batch)
      expect(textsIn(await readTopic(on.direct, topic))).toEqual(expectedTexts(1, batch.records))
    })

    it('reports offsets, and the time of Kafka for a topic that has it', async () => {
      const createTime = { 'message.timestamp.type': 'CreateTime' }
      const byKafka = await freshTopic(on.direct, 2)
      const bySender = await createTopicWith(on.direct, { partitions: 1, settings: createTime })
      const stored: StoredRecords[] = []
      const { openSink } = await createKafkaClient({ ...on.direct, client })
      await using sink = openSink(records => stored.push(records))
      for (let send = 0; send < 2; send++) {
        const records = [record(0, 'a'), record(0, 'b'), record(1, 'c')]
        await sink.send({ topic: byKafka, records })
      }
      await sink.send({ topic: bySender, records: [record(0, 'a')] })
      const seen = stored
        .map(({ appendTimeMs: _, ...rest }) => rest)
        .toSorted((a, b) => a.partition - b.partition)
      expect(seen.filter(({ topic }) => topic === byKafka)).toEqual([
        { topic: byKafka, partition: 0, firstOffset: 0, count: 2 },
        { topic: byKafka, partition: 0, firstOffset: 2, count: 2 },
        { topic: byKafka, partition: 1, firstOffset: 0, count: 1 },
        { topic: byKafka, partition: 1, firstOffset: 1, count: 1 },
      ])
      for (const { topic, appendTimeMs } of stored) {
        if (topic === bySender) expect(appendTimeMs).toBeNull()
        else expect(Math.abs(appendTimeMs! - Date.now())).toBeLessThan(60_000)
      }
      expect(stored.filter(({ topic }) => topic === bySender)).toHaveLength(1)
    })

    it('larger than a segment of the topic is sent in halves; a record larger than it is rejected', async () => {
      const settings = { 'segment.bytes': '1048576', 'max.message.bytes': '8388608' }
      const topic = await createTopicWith(on.direct, { partitions: 1, settings })
      await using sink = await openKafkaSink({ ...on.direct, client })
      const small = () => ({ ...record(0, ''), value: randomBytes(110_000) })
      const huge = { ...record(0, ''), value: randomBytes(1_100_000) }
      const records = [...Array.from({ length: 14 }, small), huge, small()]
      const fates = await sink.send({ topic, records })
      expect(fates.map(fate => fate !== null)).toEqual(records.map(each => each === huge))
      expect(fates[14]).toBe('RECORD_LIST_TOO_LARGE')
      const [found] = await readTopic(on.direct, topic)
      const values = records.filter(each => each !== huge).map(({ value }) => value)
      expect(found!.map(({ value }) => value)).toEqual(values)
    })

    describe('a send of which Kafka rejects one partition', () => {
      const huge = (partition: number) => ({
        ...record(partition, ''),
        value: randomBytes(1_100_000),
      })

      it.each([
        ['and then a partition gets the same number of records', ['c', 'd']],
        ['and then a partition gets fewer records', ['c']],
        ['and then a partition gets more records', ['c', 'd', 'e']],
      ])('%s', async (_, next) => {
        const topic = await freshTopic(on.direct, 2)
        await using sink = await openKafkaSink({ ...on.proxied, client })
        const batch = { topic, records: [record(0, 'a'), record(0, 'b'), huge(1)] }
        expect(await sink.send(batch)).toEqual([null, null, expect.any(String)])
        const records = next.map(text => record(0, text))
        expect(await sink.send({ topic, records })).toEqual(records.map(() => null))
        expect(textsIn(await readTopic(on.direct, topic))).toEqual([['a', 'b', ...next], []])
      })

      it('and an acknowledgement is lost while the other records are sent', async () => {
        const topic = await freshTopic(on.direct, 2)
        await using sink = await openKafkaSink({ ...on.proxied, client })
        await sink.send({ topic, records: [record(0, 'x'), record(1, 'y')] })
        const lost = new Set([1, 2, 5])
        judgeAcks(number => (lost.has(number) ? 'cut' : 'pass'))
        const records = [record(0, 'a'), record(1, 'c'), huge(1), record(0, 'b'), record(1, 'd')]
        const deliver = createDelivery({
          sink,
          signal: new AbortController().signal,
          circuit: createCircuitBreaker({ firstMs: 10, maxMs: 10, stableMs: 0 }),
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

  // The requests of @platformatic/kafka have a deadline of their own.
  it('gives up a kafkajs send that does not end, and loses nothing', async () => {
    const topic = await freshTopic(on.direct, 1)
    const sent: string[] = []
    let isGivenUp = false
    const sink = await openKafkaSink({ ...on.proxied, client: 'kafkajs', requestTimeoutMs: 200 })
    const deliver = createDelivery({
      sink,
      signal: new AbortController().signal,
      circuit: createCircuitBreaker({ firstMs: 50, maxMs: 50, stableMs: 0 }),
      onUnavailable: reason => {
        isGivenUp ||= reason.startsWith('no response from Kafka within')
        on.proxy.restore()
      },
    })
    for (let index = 0; index < 30 && !isGivenUp; index++) {
      // The first attempt times out. The second is cut, and kafkajs then requests versions and
      // metadata again, which takes longer than the sink waits.
      let produced = 0
      const verdictOn = ({ api }: Frame): Verdict => {
        if (api === apiKeys.produce) return produced++ % 2 === 0 ? 'drop' : 'cut'
        return api === apiKeys.metadata ? 'drop' : { delayMs: 180 }
      }
      if (index > 0) on.proxy.judge({ responses: verdictOn })
      const batch = batchOf(topic, index)
      await deliver(batch)
      sent.push(...textsIn([[...batch.records]]).flat())
    }
    const last = batchOf(topic, 99)
    await deliver(last)
    sent.push(...textsIn([[...last.records]]).flat())
    expect(isGivenUp).toBe(true)
    // The given-up send may still be written later: consumers drop duplicates by the event ids.
    const [found] = textsIn(await readTopic(on.direct, topic))
    expect([...new Set(found)]).toEqual(sent)
    await sink[Symbol.asyncDispose]()
    await vi.waitFor(() => expect(on.proxy.open).toBe(0), { timeout: 10_000 })
  })

  /** Judges the responses to produce requests by their number, from 0 on. */
  function judgeAcks(judge: (number: number) => Verdict) {
    let number = 0
    const verdictOn = (frame: Frame) => (frame.api === apiKeys.produce ? judge(number++) : 'pass')
    on.proxy.judge({ responses: verdictOn })
  }
})

/** A batch of two or three distinct records for one partition. */
function batchOf(topic: string, index: number): Batch {
  const records = Array.from({ length: 3 - (index % 2) }, (_, at) => record(0, `${index}.${at}`))
  return { topic, records }
}
