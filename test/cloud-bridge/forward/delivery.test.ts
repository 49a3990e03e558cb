import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { apiKeys, type Frame } from '../../faults/framing.ts'
import { producePartitions } from '../../faults/produce-request.ts'
import { reading, temporary } from '../../gateway/store/fixture.ts'
import { createTopics, describeWithKafka, readTopic } from '../../setup/kafka/kafka.ts'
import { type ProxiedKafka, startProxiedKafka } from '../../setup/kafka/proxied-kafka.ts'
import { freshTopics, startBridge, type Topics } from './running-bridge.ts'

const PARTITIONS = 3
const soon = { timeout: 30_000, interval: 20 }
/** Two zones for each partition. */
const zones = [0, 1, 2].flatMap(partition =>
  Array.from({ length: 60 }, (_, number) => `zone ${number}`)
    .filter(name => partitionOf(Buffer.from(name), PARTITIONS) === partition)
    .slice(0, 2),
)

describeWithKafka('the bridge, when not all events can be delivered at once', () => {
  let kafka: ProxiedKafka
  beforeAll(async () => {
    kafka = await startProxiedKafka()
  })
  afterAll(() => kafka?.[Symbol.asyncDispose]())
  afterEach(() => kafka.proxy.restore())

  /** An outbox, topics, and bridges on them, disposed when the test ends. */
  async function startPlace(
    limits: object,
    createdTopics: (keyof Topics)[] = ['readings', 'backfill', 'ledger'],
  ) {
    const place = temporary()
    const topics = freshTopics()
    const create = (...names: (keyof Topics)[]) =>
      createTopics(
        kafka.direct,
        names.map(name => ({ topic: topics[name], partitions: PARTITIONS })),
      )
    await create(...createdTopics)
    const outbox = openOutbox({ file: place.file('outbox.db'), gateway: 'gw' })
    const start = () => startBridge({ dir: place.dir, kafka: kafka.proxied, topics, limits })
    let bridge: Awaited<ReturnType<typeof startBridge>> | null = null
    return {
      topics,
      create,
      commit(groups: number) {
        for (let group = 0; group < groups; group++) {
          outbox.commit({ readings: zones.map(zone => reading(zone)) })
        }
      },
      async start() {
        await bridge?.stop()
        bridge = await start()
        return bridge
      },
      /** The sequences in each partition of a topic, in order. */
      async sequences(topic: keyof Topics): Promise<number[][]> {
        const partitions = await readTopic(kafka.direct, topics[topic])
        return partitions.map(records => records.map(({ value }) => decodeEvent(value).sequence))
      },
      async [Symbol.asyncDispose]() {
        await bridge?.stop()
        outbox.close()
        place[Symbol.dispose]()
      },
    }
  }
  const delivered = (bridge: Awaited<ReturnType<typeof startBridge>>) =>
    vi.waitFor(() => expect(bridge.source.backlog()?.events).toBe(0), soon)
  const span = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, n) => from + n)
  const sorted = (all: number[][]) => all.flat().sort((a, b) => a - b)
  const isInOrder = (all: number[]) =>
    all.every((sequence, index) => index === 0 || sequence >= all[index - 1]!)

  const backlogs = {
    batchMaxEvents: 60,
    backfill: {
      afterMs: 0,
      minEvents: 100,
      batchMaxEvents: 20,
      batchMaxBytes: 1e6,
      maxBytesPerSecond: 100_000,
    },
  }

  it('sends fresh events at once, and a backlog in order on its own topic', async () => {
    await using at = await startPlace(backlogs)
    at.commit(200)
    const bridge = await at.start()
    await vi.waitFor(() => expect(bridge.source.ranges.length).toBe(2), soon)
    at.commit(1)
    await vi.waitFor(
      async () => expect(sorted(await at.sequences('readings'))).toContain(1206),
      soon,
    )
    expect(bridge.source.backlog()!.events).toBeGreaterThan(300)
    await delivered(bridge)
    const [live, old] = [await at.sequences('readings'), await at.sequences('backfill')]
    expect([...live, ...old].every(isInOrder)).toBe(true)
    expect(sorted([...live, ...old])).toEqual(span(1, 1206))
    expect(sorted(old).length).toBeGreaterThan(600)
    // The ledger reads which events are deferred before newer events arrive.
    const [deferral] = (await readTopic(kafka.direct, at.topics.ledger))
      .flat()
      .filter(({ value }) => JSON.parse(value.toString()).kind === 'behind')
    const newer = (await readTopic(kafka.direct, at.topics.readings))
      .flat()
      .filter(({ value }) => decodeEvent(value).sequence > 1200)
    expect(newer.every(({ appendTimeMs }) => appendTimeMs >= deferral!.appendTimeMs)).toBe(true)
    expect(newer.length).toBe(6)
  })

  it('keeps the delivery plan over a restart', async () => {
    await using at = await startPlace(backlogs)
    at.commit(200)
    const first = await at.start()
    await vi.waitFor(() => expect(first.source.ranges.length).toBe(2), soon)
    await vi.waitFor(
      async () => expect((await at.sequences('backfill')).flat().length).toBeGreaterThan(50),
      soon,
    )
    const second = await at.start()
    const [backlog] = second.source.ranges
    expect(backlog).toMatchObject({ topic: at.topics.backfill, end: 1200 })
    at.commit(1)
    await delivered(second)
    const [live, old] = [await at.sequences('readings'), await at.sequences('backfill')]
    expect([...live, ...old].every(isInOrder)).toBe(true)
    expect(sorted([...live, ...old])).toEqual(span(1, 1206))
  })

  it('sends all events in order when the backfill topic is missing', async () => {
    await using at = await startPlace(backlogs, ['readings', 'ledger'])
    at.commit(100)
    const bridge = await at.start()
    await delivered(bridge)
    const live = await at.sequences('readings')
    expect(live.every(isInOrder)).toBe(true)
    expect(sorted(live)).toEqual(span(1, 600))
  })

  /** The broker accepts no records for this partition. */
  const block = (partition: number) =>
    kafka.proxy.judge({
      requests: (frame: Frame) =>
        frame.api === apiKeys.produce && producePartitions(frame).includes(partition)
          ? 'cut'
          : 'pass',
    })

  const isolateSoon = { apartAfterMs: 0, batchMaxEvents: 30 }

  it('isolates a stuck partition, and merges it when it accepts events again', async () => {
    await using at = await startPlace(isolateSoon)
    at.commit(2)
    const bridge = await at.start()
    await delivered(bridge)
    block(1)
    at.commit(10)
    await vi.waitFor(() => expect(bridge.source.plan.isolated.length).toBe(1), soon)
    at.commit(10)
    const others = async () => {
      const [zero, , two] = await at.sequences('readings')
      expect(zero!.length + two!.length).toBe(22 * 4)
    }
    await vi.waitFor(others, soon)
    expect((await at.sequences('readings'))[1]!.length).toBe(4)
    kafka.proxy.restore()
    await vi.waitFor(() => expect(bridge.source.ranges.length).toBe(1), soon)
    at.commit(5)
    await delivered(bridge)
    const live = await at.sequences('readings')
    expect(live.every(isInOrder)).toBe(true)
    expect(sorted(live)).toEqual(span(1, 27 * 6))
  })

  it('writes no event twice to a partition whose acknowledgements are lost', async () => {
    await using at = await startPlace(isolateSoon)
    at.commit(2)
    const bridge = await at.start()
    await delivered(bridge)
    const lost = new Set<number>()
    kafka.proxy.judge({
      requests: frame => {
        const isForPartition = frame.api === apiKeys.produce && producePartitions(frame).includes(1)
        if (isForPartition) lost.add(frame.correlationId)
        return 'pass'
      },
      responses: frame =>
        frame.api === apiKeys.produce && lost.delete(frame.correlationId) ? 'cut' : 'pass',
    })
    at.commit(3)
    await vi.waitFor(() => expect(bridge.source.plan.isolated.length).toBe(1), soon)
    at.commit(10)
    kafka.proxy.restore()
    await vi.waitFor(() => expect(bridge.source.ranges.length).toBe(1), soon)
    await delivered(bridge)
    const live = await at.sequences('readings')
    expect(live.every(isInOrder)).toBe(true)
    expect(sorted(live)).toEqual(span(1, 15 * 6))
  })

  it('keeps a stuck partition isolated over a restart, while other events are delivered', async () => {
    await using at = await startPlace(isolateSoon)
    at.commit(1)
    const first = await at.start()
    await delivered(first)
    block(2)
    at.commit(5)
    await vi.waitFor(() => expect(first.source.plan.isolated.length).toBe(1), soon)
    const second = await at.start()
    const running = new AbortController()
    const committing = (async () => {
      while (!running.signal.aborted) {
        at.commit(1)
        await sleep(2)
      }
    })()
    await sleep(500)
    expect(second.source.plan.isolated.length).toBe(1)
    kafka.proxy.restore()
    // The range merges although new events arrive all the time.
    await vi.waitFor(() => expect(second.source.ranges.length).toBe(1), soon)
    running.abort()
    await committing
    await delivered(second)
    const live = await at.sequences('readings')
    // A new producer may write the batch in flight a second time, under the same ids.
    const unique = live.map(all => [...new Set(all)])
    expect(unique.every(isInOrder)).toBe(true)
    const last = Math.max(...live.flat())
    expect(sorted(unique)).toEqual(span(1, last))
  })
})
