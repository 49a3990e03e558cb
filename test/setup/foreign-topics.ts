import { randomUUID } from 'node:crypto'
import type { KafkaOptions } from '../../cloud-bridge/kafka/client.ts'
import { configuredKafka } from '../../cloud-bridge/kafka/kafkajs/configured.ts'

/** Creates a topic as somebody else did: by Kafka's defaults but for these settings. */
export async function givenTopic(
  kafka: KafkaOptions,
  settings: Record<string, string>,
  { topic = `given-${randomUUID()}`, partitions = 1 } = {},
): Promise<string> {
  const admin = configuredKafka(kafka).admin()
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  try {
    await admin.connect()
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }] })
    return topic
  } finally {
    await admin.disconnect()
  }
}
