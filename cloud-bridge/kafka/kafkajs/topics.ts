import type { Admin } from 'kafkajs'
import { pause } from '../../../config/process/pause.ts'
import { type KafkaOptions, type NewTopic, NoSuchTopic, type TopicAdmin } from '../client.ts'
import { describeError, isNoSuchTopic, isNotAuthorized } from '../errors.ts'
import {
  newTopicConfigEntries,
  parseTopicConfig,
  type TopicConfig,
  topicConfigNames,
} from '../topic-settings.ts'
import { createKafkajs } from './configuration.ts'

const WRITABLE_WITHIN_MS = 10_000
const RETRY_MS = 50
/** Kafka's resource type for topics in a DescribeConfigs request. */
const TOPIC = 2

export function createTopicAdmin(options: KafkaOptions): TopicAdmin {
  return {
    partitionsOf: topic =>
      withAdmin(options, async admin => (await readPartitions(admin, topic)).length),
    settingsOf: topic =>
      withAdmin(options, async admin => {
        const partitions = await readPartitions(admin, topic)
        return {
          partitions: partitions.length,
          replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
          config: await readConfig(admin, topic),
        }
      }),
    committedOffsets: (groupId, topic) =>
      withAdmin(options, async admin => {
        const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
        const offsets = (found?.partitions ?? []).map(
          ({ partition, offset }) => [partition, Number(offset)] as const,
        )
        return new Map(offsets.filter(([, offset]) => offset >= 0))
      }),
    brokers: () =>
      withAdmin(options, async admin => {
        const { brokers } = await admin.describeCluster()
        return brokers.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
      }),
    create: topics => withAdmin(options, admin => createTopics(admin, topics)),
  }
}

async function withAdmin<T>(options: KafkaOptions, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = createKafkajs(options).admin()
  try {
    await admin.connect()
    return await work(admin)
  } catch (error) {
    if (isNoSuchTopic(error)) throw new NoSuchTopic('the topic does not exist', { cause: error })
    throw new Error(describeError(error, options.brokers), { cause: error })
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

async function readPartitions(admin: Admin, topic: string) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0]!.partitions
}

async function readConfig(admin: Admin, topic: string): Promise<TopicConfig | 'not allowed'> {
  const resource = { type: TOPIC, name: topic, configNames: [...topicConfigNames] }
  try {
    const response = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
    const entries = response.resources.flatMap(({ configEntries }) => configEntries)
    return parseTopicConfig(
      new Map(entries.map(({ configName, configValue }) => [configName, configValue])),
    )
  } catch (error) {
    if (isNotAuthorized(error)) return 'not allowed'
    throw error
  }
}

async function createTopics(admin: Admin, newTopics: NewTopic[]): Promise<void> {
  await admin.createTopics({
    // The library's own wait fails when the broker that gets its request does not know the new
    // topic yet.
    waitForLeaders: false,
    topics: newTopics.map(({ topic, partitions, replicas, ...kind }) => ({
      topic,
      numPartitions: partitions,
      ...(replicas !== undefined && { replicationFactor: replicas }),
      configEntries: newTopicConfigEntries(kind),
    })),
  })
  const deadlineMs = performance.now() + WRITABLE_WITHIN_MS
  for (const topics = newTopics.map(({ topic }) => topic); ; await pause(RETRY_MS)) {
    try {
      await admin.fetchTopicMetadata({ topics })
      // Requests offsets from the leader of each partition: a leader refuses records until it knows
      // that it leads a partition of the new topic.
      for (const topic of topics) await admin.fetchTopicOffsets(topic)
      return
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
    }
  }
}
