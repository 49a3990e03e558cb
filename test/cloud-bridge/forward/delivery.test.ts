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
/** Two zones of each partition. */
const zones = [0, 1, 2].flatMap(partition =>
  Array.from({ length: 60 }, (_, number) => `zone ${number}`)
    .filter(name => partitionOf(Buffer.from(name), PARTITIONS) === partition)
    .slice(0, 2),
)

describeWithKafka('the bridge, when not all can go at once', () => {
  let on: ProxiedKafka
  beforeAll(async () => {
    on = await startProxiedKafka()
  })
  afterAll(() => on?.[Symbol.asyncDispose]())
  afterEach(() => on.proxy.restore())

  /** An outbox, topics, and bridges on them, each given back when the test ends. */
  async function startPlace(
    limits: object,
    made: (keyof Topics)[] = ['readings', 'backfill', 'ledger'],
  ) {
    const place = temporary()
    const topics = freshTopics()
    const create = (...names: (keyof Topics)[]) =>
      createTopics(
        on.direct,
        names.map(name => ({ topic: topics[name], partitions: PARTITIONS })),
      )
    await create(...made)
    const outbox = openOutbox({ file: place.file('outbox.db'), gateway: 'gw' })
    const start = () => startBridge({ dir: place.dir, kafka: on.proxied, topics, limits })
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
        const found = await readTopic(on.direct, topics[topic])
        return found.map(records => records.map(({ value }) => decodeEvent(value).sequence))
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
  const isInOrder = (all: number[]) => all.every((one, at) => at === 0 || one >= all[at - 1]!)

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

  it('sends fresh events at once, and a backlog behind them in order', async () => {
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
    // Kafka heard that some come later before it heard of anything newer.
    const [told] = (await readTopic(on.direct, at.topics.ledger))
      .flat()
      .filter(({ value }) => JSON.parse(value.toString()).kind === 'behind')
    const newer = (await readTopic(on.direct, at.topics.readings))
      .flat()
      .filter(({ value }) => decodeEvent(value).sequence > 1200)
    expect(newer.every(({ appendTimeMs }) => appendTimeMs >= told!.appendTimeMs)).toBe(true)
    expect(newer.length).toBe(6)
  })

  it('keeps to the plan when it is started again in the middle', async () => {
    await using at = await startPlace(backlogs)
    at.commit(200)
    const first = await at.start()
    await vi.waitFor(() => expect(first.source.ranges.length).toBe(2), soon)
    await vi.waitFor(
      async () => expect((await at.sequences('backfill')).flat().length).toBeGreaterThan(50),
      soon,
    )
    const again = await at.start()
    const [backlog] = again.source.ranges
    expect(backlog).toMatchObject({ topic: at.topics.backfill, end: 1200 })
    at.commit(1)
    await delivered(again)
    const [live, old] = [await at.sequences('readings'), await at.sequences('backfill')]
    expect([...live, ...old].every(isInOrder)).toBe(true)
    expect(sorted([...live, ...old])).toEqual(span(1, 1206))
  })

  it('sends all in order where the topic for a backlog is missing, and says so', async () => {
    await using at = await startPlace(backlogs, ['readings', 'ledger'])
    at.commit(100)
    const bridge = await at.start()
    await delivered(bridge)
    const live = await at.sequences('readings')
    expect(live.every(isInOrder)).toBe(true)
    expect(sorted(live)).toEqual(span(1, 600))
  })

  /** The broker takes nothing for this partition, and everything else. */
  const stick = (partition: number) =>
    on.proxy.judge({
      requests: (frame: Frame) =>
        frame.api === apiKeys.produce && producePartitions(frame).includes(partition)
          ? 'cut'
          : 'pass',
    })

  const apartSoon = { apartAfterMs: 0, batchMaxEvents: 30 }

  it('carries a stuck partition apart, and joins it when it goes again', async () => {
    await using at = await startPlace(apartSoon)
    at.commit(2)
    const bridge = await at.start()
    await delivered(bridge)
    stick(1)
    at.commit(10)
    await vi.waitFor(() => expect(bridge.source.plan.isolated.length).toBe(1), soon)
    at.commit(10)
    const others = async () => {
      const [zero, , two] = await at.sequences('readings')
      expect(zero!.length + two!.length).toBe(22 * 4)
    }
    await vi.waitFor(others, soon)
    expect((await at.sequences('readings'))[1]!.length).toBe(4)
    on.proxy.restore()
    await vi.waitFor(() => expect(bridge.source.ranges.length).toBe(1), soon)
    at.commit(5)
    await delivered(bridge)
    const live = await at.sequences('readings')
    expect(live.every(isInOrder)).toBe(true)
    expect(sorted(live)).toEqual(span(1, 27 * 6))
  })

  it('writes nothing twice of a partition whose acknowledgements are lost', async () => {
    await using at = await startPlace(apartSoon)
    at.commit(2)
    const bridge = await at.start()
    await delivered(bridge)
    const lost = new Set<number>()
    on.proxy.judge({
      requests: frame => {
        const isForIt = frame.api === apiKeys.produce && producePartitions(frame).includes(1)
        if (isForIt) lost.add(frame.correlationId)
        return 'pass'
      },
      responses: frame =>
        frame.api === apiKeys.produce && lost.delete(frame.correlationId) ? 'cut' : 'pass',
    })
    at.commit(3)
    await vi.waitFor(() => expect(bridge.source.plan.isolated.length).toBe(1), soon)
    at.commit(10)
    on.proxy.restore()
    await vi.waitFor(() => expect(bridge.source.ranges.length).toBe(1), soon)
    await delivered(bridge)
    const live = await at.sequences('readings')
    expect(live.every(isInOrder)).toBe(true)
    expect(sorted(live)).toEqual(span(1, 15 * 6))
  })

  it('keeps a stuck partition apart over a restart, while events go on', async () => {
    await using at = await startPlace(apartSoon)
    at.commit(1)
    const first = await at.start()
    await delivered(first)
    stick(2)
    at.commit(5)
    await vi.waitFor(() => expect(first.source.plan.isolated.length).toBe(1), soon)
    const again = await at.start()
    const running = new AbortController()
    const committing = (async () => {
      while (!running.signal.aborted) {
        at.commit(1)
        await sleep(2)
      }
    })()
    await sleep(500)
    expect(again.source.plan.isolated.length).toBe(1)
    on.proxy.restore()
    // It joins although there is always something new.
    await vi.waitFor(() => expect(again.source.ranges.length).toBe(1), soon)
    running.abort()
    await committing
    await delivered(again)
    const live = await at.sequences('readings')
    // A new producer may write what was under way once more, under the same numbers.
    const firsts = live.map(all => [...new Set(all)])
    expect(firsts.every(isInOrder)).toBe(true)
    const last = Math.max(...live.flat())
    expect(sorted(firsts)).toEqual(span(1, last))
  })
})
