import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { NoSuchTopic } from '../../../cloud-bridge/kafka/client.ts'
import { openKafka } from '../../../cloud-bridge/kafka/kafka.ts'
import { configuredKafka } from '../../../cloud-bridge/kafka/kafkajs/configured.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { givenTopic } from '../../setup/foreign-topics.ts'
import {
  clients,
  createTopics,
  describeWithKafka,
  kafkaAt,
  partitionsOf,
  shared,
} from '../../setup/kafka.ts'

describeWithKafka('topics', () => {
  it('are created where they are missing, and left as they are where they exist', async () => {
    const [old, fresh] = [randomUUID(), randomUUID()]
    await createTopics(shared(), [{ topic: old, partitions: 2 }])
    const plans = [old, fresh].map(topic => ({ topic, partitions: 5 }))
    await createTopics(shared(), plans)
    await createTopics(shared(), plans)
    expect(await partitionsOf(shared(), old)).toBe(2)
    expect(await partitionsOf(shared(), fresh)).toBe(5)
  })

  it('keep records by the time of their arrival, so that a late backlog is not deleted', async () => {
    const topic = randomUUID()
    await createTopics(shared(), [{ topic, partitions: 1 }])
    const admin = configuredKafka(shared()).admin()
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

  it.each(clients)('tell how they are set up, through %s', async client => {
    const { topics } = await openKafka({ ...shared(), client })
    const [ours, given] = [randomUUID(), randomUUID()]
    await topics.create([{ topic: ours, partitions: 3, replicas: 1 }])
    const settings = {
      'message.timestamp.type': 'CreateTime',
      'retention.ms': '60000',
      'retention.bytes': '5000',
      'cleanup.policy': 'compact,delete',
      'max.message.bytes': '10000',
    }
    await givenTopic(shared(), settings, { topic: given })
    expect(await topics.settingsOf(ours)).toMatchObject({
      ...{ partitions: 3, replicas: 1 },
      keeping: { timestampType: 'LogAppendTime', retentionBytes: null, cleanupPolicy: 'delete' },
    })
    expect(await topics.settingsOf(given)).toEqual({
      ...{ partitions: 1, replicas: 1 },
      keeping: {
        ...{ timestampType: 'CreateTime', retentionMs: 60_000, retentionBytes: 5000 },
        ...{ cleanupPolicy: 'compact,delete', maxMessageBytes: 10_000, minInsyncReplicas: 1 },
      },
    })
    await expect(topics.settingsOf('no-such-topic')).rejects.toThrow(NoSuchTopic)
    expect(await topics.brokers()).toEqual(shared().brokers)
  })

  it('that do not exist have no partitions, and that is an error', async () => {
    await expect(partitionsOf(shared(), 'no-such-topic')).rejects.toThrow()
  })

  it('are out of reach while there is no Kafka', async () => {
    const away = kafkaAt([`127.0.0.1:${await findFreePort()}`])
    await expect(partitionsOf(away, 'any')).rejects.toThrow('nobody listens there')
    await expect(createTopics(away, [{ topic: 'any', partitions: 1 }])).rejects.toThrow()
  })
})
