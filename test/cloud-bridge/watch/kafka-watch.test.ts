import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { createKafkaWatch } from '../../../cloud-bridge/watch/kafka-watch.ts'
import { defaults } from '../../../config/config.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { clients, createTopics, describeWithKafka } from '../../setup/kafka/kafka.ts'
import { type ProxiedKafka, startProxiedKafka } from '../../setup/kafka/proxied-kafka.ts'
import { freshTopics, startBridge, type Topics } from '../forward/running-bridge.ts'
import { reading } from '../readings.ts'

const soon = { timeout: 30_000, interval: 50 }

it('the watch ends at once when it is aborted during a check that never ends', async () => {
  const checking = Promise.withResolvers<void>()
  const topics = freshTopics()
  const watch = createKafkaWatch({
    config: { kafka: { topics, brokers: [] }, outbox: defaults.outbox },
    topicOffsets() {
      checking.resolve()
      return new Promise(() => {})
    },
    ...{ onChange() {}, checkEveryMs: 1 },
  })
  const ending = new AbortController()
  const running = watch.run(ending.signal)
  await checking.promise
  ending.abort()
  await running
})

describeWithKafka('a bridge that watches Kafka', () => {
  let on: ProxiedKafka
  beforeAll(async () => {
    on = await startProxiedKafka()
  })
  afterAll(() => on?.[Symbol.asyncDispose]())
  afterEach(() => on.proxy.restore())

  const createAll = (topics: Topics) =>
    createTopics(
      on.direct,
      Object.values(topics).map(topic => ({ topic, partitions: 1 })),
    )
  const remove = async (topic: string) => {
    const admin = createKafkajs(on.direct).admin()
    await admin.connect()
    await admin.deleteTopics({ topics: [topic] })
    await vi.waitFor(async () => expect(await admin.listTopics()).not.toContain(topic), soon)
    await admin.disconnect()
  }

  describe.each(clients)('through %s', { timeout: 90_000 }, client => {
    async function rig(stack: AsyncDisposableStack, checkEveryMs: number) {
      const dir = await mkdtemp(join(tmpdir(), 'sluice-watch-'))
      stack.defer(() => rm(dir, { recursive: true, force: true }))
      const topics = freshTopics()
      await createAll(topics)
      const outbox = stack.adopt(
        openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' }),
        opened => opened.close(),
      )
      const bridge = await startBridge({
        ...{ dir, kafka: { ...on.proxied, client }, topics, checkEveryMs },
      })
      stack.defer(bridge.stop)
      let stored = 0
      const deliver = async () => {
        outbox.commit({ readings: [reading('a'), reading('a')], deadLetters: [] })
        stored += 2
        await vi.waitFor(() => expect(bridge.totals.delivered).toBe(stored), soon)
      }
      const alarms = () => bridge.kafkaWatch.alarms()
      const untilAlarm = (pattern: RegExp) =>
        vi.waitFor(() => expect(alarms().join()).toMatch(pattern), soon)
      return { topics, bridge, deliver, alarms, untilAlarm }
    }

    it('reports while idle that Kafka is away, and that Kafka is back', async () => {
      await using stack = new AsyncDisposableStack()
      const { bridge, deliver, alarms, untilAlarm } = await rig(stack, 200)
      await deliver()
      expect(alarms()).toEqual([])
      on.proxy.refuse()
      await untilAlarm(/^Kafka does not answer since .*: .+/)
      expect(bridge.waitReasons.events).toBeNull()
      on.proxy.restore()
      await vi.waitFor(() => expect(alarms()).toEqual([]), soon)
    })

    it('reports a topic that was deleted and created again, until a replay is ordered', async () => {
      await using stack = new AsyncDisposableStack()
      const { topics, bridge, deliver, alarms, untilAlarm } = await rig(stack, 60_000)
      await deliver()
      await remove(topics.readings)
      await createAll(topics)
      await deliver()
      await untilAlarm(/lost records .* offset 0, after offset 2.*replay --from -72h/)
      expect(alarms().join()).toContain(topics.readings)
      bridge.kafkaWatch.replayOrdered()
      expect(alarms()).toEqual([])
    })

    it('reports while idle that a topic is missing, and that a topic was created again', async () => {
      await using stack = new AsyncDisposableStack()
      const { topics, deliver, alarms, untilAlarm } = await rig(stack, 200)
      await deliver()
      await remove(topics.ledger)
      await untilAlarm(new RegExp(`topic ${topics.ledger} does not exist`))
      await createAll(topics)
      await untilAlarm(/lost records .*ledger verify says what can no longer be proven/)
      expect(alarms()).toHaveLength(1)
    })
  })
})
