import { randomUUID } from 'node:crypto'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { createTopics } from './kafka.ts'

/** Creates a topic as another program would: with Kafka's defaults and these settings. */
export async function createForeignTopic(
  kafka: KafkaOptions,
  settings: Record<string, string>,
  { topic = `foreign-${randomUUID()}`, partitions = 1 } = {},
): Promise<string> {
  const admin = createKafkajs(kafka).admin()
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  try {
    await admin.connect()
    const topics = [{ topic, numPartitions: partitions, configEntries }]
    await admin.createTopics({ waitForLeaders: false, topics })
    // The topic exists, so this only waits until it accepts writes.
    await createTopics(kafka, [{ topic, partitions }])
    return topic
  } finally {
    await admin.disconnect()
  }
}
