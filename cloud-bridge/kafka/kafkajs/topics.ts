import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { type KafkaOptions, type NewTopic, NoSuchTopic, type TopicAdmin } from '../client.ts'
import { describeError, isNoSuchTopic, isNotAuthorized } from '../errors.ts'
import {
  newTopicConfigEntries,
  parseTopicConfig,
  type TopicConfig,
  topicConfigNames,
} from '../topic-settings.ts'
import { createKafkajs } from './configuration.ts'

const KNOWN_WITHIN_MS = 10_000
const LOOK_AGAIN_MS = 50
/** Kafka's number for a topic among what has settings. */
const TOPIC = 2

export function createTopicAdmin(options: KafkaOptions): TopicAdmin {
  const asking = <T>(ask: (admin: Admin) => Promise<T>) => withAdmin(options, ask)
  return {
    partitionsOf: topic => asking(async admin => (await partitionsIn(admin, topic)).length),
    settingsOf: topic =>
      asking(async admin => {
        const partitions = await partitionsIn(admin, topic)
        return {
          partitions: partitions.length,
          replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
          keeping: await keepingOf(admin, topic),
        }
      }),
    brokers: () =>
      asking(async admin => {
        const { brokers } = await admin.describeCluster()
        return brokers.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
      }),
    create: plans => asking(admin => create(admin, plans)),
  }
}

async function withAdmin<T>(options: KafkaOptions, ask: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = createKafkajs(options).admin()
  try {
    await admin.connect()
    return await ask(admin)
  } catch (error) {
    if (isNoSuchTopic(error)) throw new NoSuchTopic('Kafka has no such topic', { cause: error })
    throw new Error(describeError(error), { cause: error })
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

async function partitionsIn(admin: Admin, topic: string) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0]!.partitions
}

async function keepingOf(admin: Admin, topic: string): Promise<TopicConfig | 'not allowed'> {
  const asked = { type: TOPIC, name: topic, configNames: [...topicConfigNames] }
  try {
    const found = await admin.describeConfigs({ includeSynonyms: false, resources: [asked] })
    const entries = found.resources.flatMap(({ configEntries }) => configEntries)
    return parseTopicConfig(
      new Map(entries.map(({ configName: name, configValue }) => [name, configValue])),
    )
  } catch (error) {
    if (isNotAuthorized(error)) return 'not allowed'
    throw error
  }
}

async function create(admin: Admin, plans: NewTopic[]): Promise<void> {
  await admin.createTopics({
    // The client's own wait ends with an error when the broker has not yet heard of the topic.
    waitForLeaders: false,
    topics: plans.map(({ topic, partitions, replicas, ...plan }) => ({
      topic,
      numPartitions: partitions,
      ...(replicas !== undefined && { replicationFactor: replicas }),
      configEntries: newTopicConfigEntries(plan),
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
}
