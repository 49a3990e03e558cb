import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { configuredKafka } from '../../../cloud-bridge/kafka/kafkajs/configured.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import {
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

  it('that do not exist have no partitions, and that is an error', async () => {
    await expect(partitionsOf(shared(), 'no-such-topic')).rejects.toThrow()
  })

  it('are out of reach while there is no Kafka', async () => {
    const away = kafkaAt([`127.0.0.1:${await findFreePort()}`])
    await expect(partitionsOf(away, 'any')).rejects.toThrow('nobody listens there')
    await expect(createTopics(away, [{ topic: 'any', partitions: 1 }])).rejects.toThrow()
  })
})
