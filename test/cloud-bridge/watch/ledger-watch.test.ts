import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { otherGatewaysCheck } from '../../../cloud-bridge/doctor/other-gateways.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import type { EventStream } from '../../../cloud-bridge/ports/event-stream.ts'
import { createLedgerWatch, type OwnRun } from '../../../cloud-bridge/watch/ledger-watch.ts'
import { defaults } from '../../../config/config.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from '../../gateway/store/fixture.ts'
import { createTopics, describeWithKafka, kafkaAt } from '../../setup/kafka/kafka.ts'
import { freshTopics, startBridge } from '../forward/running-bridge.ts'

const own: OwnRun = { store: 'aa', gateway: 'gw', epoch: 7 }
const noteOf = (store: string, gateway = 'gw') =>
  Buffer.from(
    JSON.stringify({ gateway, store, origin: 'outbox', run: 9, kind: 'clock', content: {} }),
  )

/** A ledger topic of one partition in memory; counts what is read. */
function startTopic() {
  const values: Buffer[] = []
  const topic = { broken: null as string | null, records: 0, bytes: 0, values }
  const stream: EventStream = {
    async topicOffsets(topics) {
      if (topic.broken) throw new Error(topic.broken)
      const offsets = { begin: new Map([[0, 0]]), end: new Map([[0, values.length]]) }
      return new Map(topics.map(name => [name, offsets]))
    },
    async readBetween(_, from, to, onRecord) {
      for (let offset = from.get(0)!; offset < to.get(0)!; offset++) {
        const value = values[offset]!
        topic.records++
        topic.bytes += value.length
        const rest = { key: null, headers: {}, appendTimeMs: 1000 + offset }
        onRecord({ partition: 0, offset, value, ...rest })
      }
    },
  }
  const log: (string | null)[] = []
  const current: { own: OwnRun | null } = { own }
  const watch = createLedgerWatch({
    ...{ stream, topic: 'ledger', brokers: [], readEveryMs: 5, ownRun: () => current.own },
    onUnreadable: reason => log.push(reason),
    onWarning: text => log.push(text),
  })
  return { ...{ topic, watch, log, current } }
}

describe('the watch over the ledger topic', () => {
  it('reads a bounded part of a long topic, the newest notes first, and then what is new', async () => {
    const { topic, watch } = startTopic()
    for (let n = 0; n < 50_000; n++) topic.values.push(noteOf('elsewhere', 'other'))
    topic.values.push(noteOf('bb'))
    await watch.check()
    expect(watch.alarms()).toEqual([expect.stringMatching(/^store bb is heard under the id gw/)])
    expect(topic.records).toBe(10_000)
    await watch.check()
    expect(topic.records).toBe(10_000)
    topic.values.push(noteOf('cc'))
    await watch.check()
    expect(topic.records).toBe(10_001)
    expect(watch.alarms()).toHaveLength(2)
  })

  it('reads about 4 MB of large notes at first, and 256 kB of new notes later', async () => {
    const { topic, watch } = startTopic()
    const large = Buffer.alloc(100_000, 'x')
    for (let n = 0; n < 200; n++) topic.values.push(large)
    await watch.check()
    expect(topic.bytes).toBeLessThan(4.4e6)
    const before = topic.bytes
    for (let n = 0; n < 200; n++) topic.values.push(large)
    await watch.check()
    expect(topic.bytes - before).toBeLessThan(2.1e6)
  })

  it('reports once that Kafka is away or the right to read is missing, and continues', async () => {
    const { topic, watch, log } = startTopic()
    topic.values.push(noteOf('bb'))
    topic.broken = 'no broker'
    const ending = new AbortController()
    const running = watch.run(ending.signal)
    await vi.waitFor(() => expect(log).toEqual(['no broker']))
    topic.broken = null
    await vi.waitFor(() => expect(watch.alarms()).toHaveLength(1))
    ending.abort()
    await running
    expect(log.slice(0, 2)).toEqual(['no broker', null])
  })

  it('ends at once when it is aborted during a read that never ends', async () => {
    const ending = new AbortController()
    const never = () => new Promise<never>(() => {})
    const watch = createLedgerWatch({
      stream: { topicOffsets: never, readBetween: never },
      ...{ topic: 'ledger', brokers: [], ownRun: () => own, onUnreadable() {}, onWarning() {} },
    })
    const running = watch.run(ending.signal)
    ending.abort()
    await running
  })

  it('waits for an outbox, and reads everything again for another name', async () => {
    const { topic, watch, current } = startTopic()
    topic.values.push(noteOf('bb'), noteOf('cc', 'renamed'))
    current.own = null
    expect([await watch.check(), topic.records]).toEqual([false, 0])
    current.own = { ...own, gateway: 'renamed' }
    expect([await watch.check(), watch.alarms().length]).toEqual([true, 1])
    expect(watch.alarms()[0]).toContain('store cc')
  })
})

describeWithKafka('two installations with one id, and a real Kafka', () => {
  let opened: { close(): void | Promise<void> }[]
  beforeEach(() => {
    opened = []
  })
  afterEach(async () => {
    for (const resource of opened.reverse()) await resource.close()
  })

  it('warn each other in the bridge and in the doctor', async () => {
    const kafka = kafkaAt(inject('brokers'))
    const topics = freshTopics()
    const plans = Object.values(topics).map(topic => ({ topic, partitions: 2 }))
    await createTopics(kafka, plans)
    const { stream } = await createKafkaClient(kafka)
    const start = async () => {
      const place = temporary()
      const outboxFile = place.file('outbox.db')
      const outbox = openOutbox({ file: outboxFile, gateway: 'gw' })
      const bridge = await startBridge({ dir: place.dir, kafka, topics })
      opened.push({ close: () => place[Symbol.dispose]() }, outbox, { close: bridge.stop })
      const store = outbox.store.toString('hex')
      const { gateway, epoch } = outbox
      const watch = createLedgerWatch({
        ...{
          stream,
          topic: topics.ledger,
          brokers: kafka.brokers,
          ownRun: () => ({ store, gateway, epoch }),
        },
        ...{ onUnreadable() {}, onWarning() {} },
      })
      const doctor = otherGatewaysCheck(
        {
          outbox: { ...defaults.outbox, file: outboxFile },
          kafka: { ...defaults.kafka, ...kafka, topics },
        },
        async () => ({ stream }),
      )
      const last = () => readOutbox(outboxFile).notes.at(-1)!.sequence
      const delivered = () =>
        vi.waitFor(() => expect(bridge.inbox.nextNote(outbox.store)).toBe(last() + 1), {
          timeout: 20_000,
        })
      const beat = async () => {
        outbox.commit({ readings: [reading('z')] })
        outbox.writeZoneHeads()
        await delivered()
      }
      await beat()
      const alarms = async () => {
        await watch.check()
        return watch.alarms()
      }
      return { store, alarms, beat, doctor }
    }
    const first = await start()
    expect(await first.alarms()).toEqual([])
    expect(await first.doctor.run()).toEqual([])
    const second = await start()
    // The second card takes the first for its predecessor until the first is heard again.
    expect(await second.alarms()).toEqual([])
    await first.beat()
    for (const [card, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const text = `store ${other.store} is heard under the id gw, too`
      expect(await card.alarms()).toEqual([expect.stringContaining(text)])
      expect(await card.doctor.run()).toEqual([
        {
          ...{ status: 'warning', subject: 'other gateways', value: expect.stringContaining(text) },
          cure: 'Give each its own gateway.id',
        },
      ])
    }
  }, 60_000)
})
