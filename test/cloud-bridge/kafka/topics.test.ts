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
    const here = () => ({ ...sharedKafka(), client })

    it('are created where they are missing, and left as they are where they exist', async () => {
      const [old, fresh] = [randomUUID(), randomUUID()]
      await createTopics(here(), [{ topic: old, partitions: 2 }])
      const plans = [old, fresh].map(topic => ({ topic, partitions: 5 }))
      await createTopics(here(), plans)
      await createTopics(here(), plans)
      expect(await partitionsOf(here(), old)).toBe(2)
      expect(await partitionsOf(here(), fresh)).toBe(5)
    })

    it('tell how they are set up: by Kafka’s time, so that a late backlog is not deleted', async () => {
      const { topics } = await createKafkaClient(here())
      const [ours, given] = [randomUUID(), randomUUID()]
      await topics.create([{ topic: ours, partitions: 3, replicas: 1 }])
      const settings = {
        'message.timestamp.type': 'CreateTime',
        'retention.ms': '60000',
        'retention.bytes': '5000',
        'cleanup.policy': 'compact,delete',
        'max.message.bytes': '10000',
      }
      await createForeignTopic(sharedKafka(), settings, { topic: given })
      expect(await topics.settingsOf(ours)).toMatchObject({
        ...{ partitions: 3, replicas: 1 },
        config: { timestampType: 'LogAppendTime', retentionBytes: null, cleanupPolicy: 'delete' },
      })
      expect(await topics.settingsOf(given)).toEqual({
        ...{ partitions: 1, replicas: 1 },
        config: {
          ...{ timestampType: 'CreateTime', retentionMs: 60_000, retentionBytes: 5000 },
          ...{ cleanupPolicy: 'compact,delete', maxMessageBytes: 10_000, minInsyncReplicas: 1 },
        },
      })
      await expect(topics.settingsOf('no-such-topic')).rejects.toThrow(NoSuchTopic)
      expect(await topics.brokers()).toEqual(sharedKafka().brokers)
    })

    it('that do not exist have no partitions, and that is an error', async () => {
      await expect(partitionsOf(here(), 'no-such-topic')).rejects.toThrow()
    })

    it('are out of reach while there is no Kafka', async () => {
      const away = { ...kafkaAt([`127.0.0.1:${await findFreePort()}`]), client }
      await expect(partitionsOf(away, 'any')).rejects.toThrow('connection refused')
      await expect(createTopics(away, [{ topic: 'any', partitions: 1 }])).rejects.toThrow()
    })
  })
})
