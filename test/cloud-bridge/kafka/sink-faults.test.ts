import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { brokerFaults } from '../../faults/broker-faults.ts'
import { networkFaults } from '../../faults/network-faults.ts'
import { refusals } from '../../faults/refusals.ts'
import { playFault } from '../../faults/stage.ts'
import { clients, describeWithKafka, freshTopic } from '../../setup/kafka/kafka.ts'
import { type ProxiedKafka, startProxiedKafka } from '../../setup/kafka/proxied-kafka.ts'
import { createTopicWith } from '../../setup/kafka/topic-settings.ts'

type Client = KafkaOptions['client']

const PARTITIONS = 6
/**
 * What a new reader must find in the topic after each fault. `npm run bench -- faults` measures the
 * recovery times.
 */
const sound = { lost: 0, inversions: 0, duplicates: 0 }

describeWithKafka('the sink during faults of one broker', () => {
  let on: ProxiedKafka
  beforeAll(async () => {
    on = await startProxiedKafka()
  })
  afterAll(() => on?.[Symbol.asyncDispose]())
  afterEach(() => on.proxy.restore())

  const routeOf = (client: Client, topic: string, partitions = PARTITIONS) => ({
    ...{ topic, partitions },
    sending: { ...on.proxied, client },
    reading: { ...on.direct, client },
  })

  describe.each(clients)('on %s', client => {
    it.each(Object.entries(networkFaults))('%s', async (_, script) => {
      const route = routeOf(client, await freshTopic(on.direct, PARTITIONS))
      const [outcome] = await playFault([route], ([stage]) => script(stage!, on))
      expect(outcome).toMatchObject(sound)
    })

    it.each(Object.entries(refusals))('%s', async (_, { ground, script }) => {
      const { missing, partitions = PARTITIONS, settings = {} } = ground
      const topic = missing
        ? randomUUID()
        : await createTopicWith(on.direct, { partitions, settings })
      const [outcome] = await playFault([routeOf(client, topic)], ([stage]) => script(stage!, on))
      expect(outcome).toMatchObject(sound)
    })

    it.each(['five connections in a row are cut', 'connections are half-open after an append'])(
      'with one partition: %s',
      async name => {
        const route = routeOf(client, await freshTopic(on.direct, 1), 1)
        const [outcome] = await playFault([route], ([stage]) => networkFaults[name]!(stage!, on))
        expect(outcome).toMatchObject(sound)
        expect(outcome!.failures).toBeGreaterThan(0)
      },
    )
  })

  describe('through all client libraries at once', { timeout: 90_000 }, () => {
    it.each(Object.entries(brokerFaults))('%s', async (_, script) => {
      const topics = clients.map(async client =>
        routeOf(client, await freshTopic(on.direct, PARTITIONS)),
      )
      const outcomes = await playFault(await Promise.all(topics), stages => script(stages, on))
      expect(outcomes).toMatchObject(clients.map(() => sound))
      expect(Math.min(...outcomes.map(({ failures }) => failures))).toBeGreaterThan(0)
    })
  })
})
