import { type KafkaOptions, kafkaClient } from './client.ts'

export type TopicPlan = { topic: string; partitions: number }

/** How many partitions a topic has. Rejects while Kafka is away or has no such topic. */
export async function partitionsOf(options: KafkaOptions, topic: string): Promise<number> {
  const admin = kafkaClient(options).admin()
  try {
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0]!.partitions.length
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

/**
 * Creates the topics that are missing, with Kafka's own time of appending, because by the event's
 * own time Kafka deletes a late backlog at once. Existing topics are left as they are.
 */
export async function createTopics(options: KafkaOptions, plans: TopicPlan[]): Promise<void> {
  const admin = kafkaClient(options).admin()
  const configEntries = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }]
  try {
    await admin.connect()
    await admin.createTopics({
      waitForLeaders: true,
      topics: plans.map(({ topic, partitions }) => ({
        topic,
        numPartitions: partitions,
        configEntries,
      })),
    })
  } finally {
    await admin.disconnect().catch(() => {})
  }
}
