import { setTimeout as sleep } from 'node:timers/promises'
import { NoSuchTopic } from '../replay/topic.ts'
import { type KafkaOptions, kafkaClient } from './client.ts'
import { isNoSuchTopic } from './errors.ts'

const KNOWN_WITHIN_MS = 10_000
const LOOK_AGAIN_MS = 50

export type TopicPlan = { topic: string; partitions: number }

/** How many partitions a topic has. Rejects with NoSuchTopic, or while Kafka is away. */
export async function partitionsOf(options: KafkaOptions, topic: string): Promise<number> {
  const admin = kafkaClient(options).admin()
  try {
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0]!.partitions.length
  } catch (error) {
    throw isNoSuchTopic(error)
      ? new NoSuchTopic('Kafka has no such topic', { cause: error })
      : error
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

/**
 * Creates the topics that are missing, with Kafka's own time of appending, because by the event's
 * own time Kafka deletes a late backlog at once. Existing topics are left as they are. Resolves
 * when all of them can be written to.
 */
export async function createTopics(options: KafkaOptions, plans: TopicPlan[]): Promise<void> {
  const admin = kafkaClient(options).admin()
  const configEntries = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }]
  try {
    await admin.connect()
    await admin.createTopics({
      // The client's own wait ends with an error when the broker has not yet heard of the topic.
      waitForLeaders: false,
      topics: plans.map(({ topic, partitions }) => ({
        topic,
        numPartitions: partitions,
        configEntries,
      })),
    })
    const giveUpAtMs = performance.now() + KNOWN_WITHIN_MS
    for (const topics = plans.map(({ topic }) => topic); ; await sleep(LOOK_AGAIN_MS)) {
      try {
        await admin.fetchTopicMetadata({ topics })
        return
      } catch (error) {
        if (performance.now() > giveUpAtMs) throw error
      }
    }
  } finally {
    await admin.disconnect().catch(() => {})
  }
}
