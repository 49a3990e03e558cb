import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { type Config, defaults } from '../../../config/config.ts'
import { createPipelineTopics } from '../../../simulators/pipeline/pipeline-topics.ts'
import { freshTopics } from '../../cloud-bridge/forward/running-bridge.ts'
import {
  createTopics,
  describeWithKafka,
  partitionsOf,
  sharedKafka,
} from '../../setup/kafka/kafka.ts'

async function create(topics: Config['kafka']['topics']) {
  const kafka = { ...defaults.kafka, topics, partitions: 4 }
  const consumers = {
    ...defaults.consumers,
    analytics: { ...defaults.consumers.analytics, topic: `aggregates-${randomUUID()}` },
  }
  await createPipelineTopics((await createKafkaClient(sharedKafka())).topics, { kafka, consumers })
}

describeWithKafka('the topics of the pipeline', () => {
  it('have as many backfill partitions as readings partitions, whoever created the readings topic', async () => {
    const topics = { ...freshTopics(), readings: randomUUID() }
    await createTopics(sharedKafka(), [{ topic: topics.readings, partitions: 9 }])
    await create(topics)
    expect(await partitionsOf(sharedKafka(), topics.readings)).toBe(9)
    expect(await partitionsOf(sharedKafka(), topics.backfill)).toBe(9)
    const others = freshTopics()
    await create(others)
    expect(await partitionsOf(sharedKafka(), others.backfill)).toBe(4)
    expect(await partitionsOf(sharedKafka(), others.ledger)).toBe(1)
  })
})
