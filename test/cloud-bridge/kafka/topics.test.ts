import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { configuredKafka } from '../../../cloud-bridge/kafka/kafkajs/configured.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import {
  clients,
  createTopics,
  describeWithKafka,
  kafkaAt,
  partitionsOf,
  shared,
} from '../../setup/kafka.ts'

describeWithKafka('topics', () => {
  describe.each(clients)('through %s', client => {
    const here = () => ({ ...shared(), client })

    it('are created where they are missing, and left as they are where they exist', async () => {
      const [old, fresh] = [randomUUID(), randomUUID()]
      await createTopics(here(), [{ topic: old, partitions: 2 }])
      const plans = [old, fresh].map(topic => ({ topic, partitions: 5 }))
      await createTopics(here(), plans)
      await createTopics(here(), plans)
      expect(await partitionsOf(here(), old)).toBe(2)
      expect(await partitionsOf(here(), fresh)).toBe(5)
    })

    it('keep records by the time of their arrival, so that a late backlog is not deleted', async () => {
      const topic = randomUUID()
      await createTopics(here(), [{ topic, partitions: 1 }])
      const admin = configuredKafka(here()).admin()
      await admin.connect()
      const { resources } = await admin
        .describeConfigs({
          includeSynonyms: false,
          // 2 is Kafka's number for a topic.
          resources: [{ type: 2, name: topic, configNames: ['message.timestamp.type'] }],
        })
        .finally(() => admin.disconnect())
      const [entry] = resources[0]!.configEntries
      expect(entry).toMatchObject({ configValue: 'LogAppendTime' })
    })

    it('that do not exist have no partitions, and that is an error', async () => {
      await expect(partitionsOf(here(), 'no-such-topic')).rejects.toThrow()
    })

    it('are out of reach while there is no Kafka', async () => {
      const away = { ...kafkaAt([`127.0.0.1:${await findFreePort()}`]), client }
      await expect(partitionsOf(away, 'any')).rejects.toThrow('nobody listens there')
      await expect(createTopics(away, [{ topic: 'any', partitions: 1 }])).rejects.toThrow()
    })
  })
})
