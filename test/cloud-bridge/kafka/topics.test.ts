import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { NoSuchTopic } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { createForeignTopic } from '../../setup/kafka/foreign-topics.ts'
import {
  clients,
  createTopics,
  describeWithKafka,
  kafkaAt,
  partitionsOf,
  sharedKafka,
} from '../../setup/kafka/kafka.ts'

describeWithKafka('topics', () => {
  describe.each(clients)('through %s', client => {
    const kafka = () => ({ ...sharedKafka(), client })

    it('are created if missing, and left unchanged if they exist', async () => {
      const [existing, missing] = [randomUUID(), randomUUID()]
      await createTopics(kafka(), [{ topic: existing, partitions: 2 }])
      const plans = [existing, missing].map(topic => ({ topic, partitions: 5 }))
      await createTopics(kafka(), plans)
      await createTopics(kafka(), plans)
      expect(await partitionsOf(kafka(), existing)).toBe(2)
      expect(await partitionsOf(kafka(), missing)).toBe(5)
    })

    it('report their settings; new topics have LogAppendTime, so a late backlog is not deleted', async () => {
      const { topics } = await createKafkaClient(kafka())
      const [ours, foreign] = [randomUUID(), randomUUID()]
      await topics.create([{ topic: ours, partitions: 3, replicas: 1 }])
      const settings = {
        'message.timestamp.type': 'CreateTime',
        'retention.ms': '60000',
        'retention.bytes': '5000',
        'cleanup.policy': 'compact,delete',
        'max.message.bytes': '10000',
      }
      await createForeignTopic(sharedKafka(), settings, { topic: foreign })
      expect(await topics.settingsOf(ours)).toMatchObject({
        ...{ partitions: 3, replicas: 1 },
        config: { timestampType: 'LogAppendTime', retentionBytes: null, cleanupPolicy: 'delete' },
      })
      expect(await topics.settingsOf(foreign)).toEqual({
        ...{ partitions: 1, replicas: 1 },
        config: {
          ...{ timestampType: 'CreateTime', retentionMs: 60_000, retentionBytes: 5000 },
          ...{ cleanupPolicy: 'compact,delete', maxMessageBytes: 10_000, minInsyncReplicas: 1 },
        },
      })
      await expect(topics.settingsOf('no-such-topic')).rejects.toThrow(NoSuchTopic)
      expect(await topics.brokers()).toEqual(sharedKafka().brokers)
    })

    it('that do not exist reject', async () => {
      await expect(partitionsOf(kafka(), 'no-such-topic')).rejects.toThrow()
    })

    it('reject while Kafka is unavailable', async () => {
      const unavailable = { ...kafkaAt([`127.0.0.1:${await findFreePort()}`]), client }
      await expect(partitionsOf(unavailable, 'any')).rejects.toThrow('connection refused')
      await expect(createTopics(unavailable, [{ topic: 'any', partitions: 1 }])).rejects.toThrow()
    })
  })
})
