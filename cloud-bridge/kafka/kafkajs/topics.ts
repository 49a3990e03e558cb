import { setTimeout as sleep } from 'node:timers/promises'
import { type KafkaOptions, NoSuchTopic, type TopicPlan, type Topics } from '../client.ts'
import { describe, isNoSuchTopic } from '../errors.ts'
import { configuredKafka } from './configured.ts'

const KNOWN_WITHIN_MS = 10_000
const LOOK_AGAIN_MS = 50

export function openTopics(options: KafkaOptions): Topics {
  return {
    partitionsOf: topic => partitionsOf(options, topic),
    create: plans => create(options, plans),
  }
}

async function partitionsOf(options: KafkaOptions, topic: string): Promise<number> {
  const admin = configuredKafka(options).admin()
  try {
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0]!.partitions.length
  } catch (error) {
    throw isNoSuchTopic(error)
      ? new NoSuchTopic('Kafka has no such topic', { cause: error })
      : new Error(describe(error), { cause: error })
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

async function create(options: KafkaOptions, plans: TopicPlan[]): Promise<void> {
  const admin = configuredKafka(options).admin()
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
        // A broker that is named as the leader may not know it yet; then it refuses what is sent.
        for (const topic of topics) await admin.fetchTopicOffsets(topic)
        return
      } catch (error) {
        if (performance.now() > giveUpAtMs) throw error
      }
    }
  } finally {
    await admin.disconnect().catch(() => {})
  }
}
