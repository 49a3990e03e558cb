import { Admin } from '@platformatic/kafka'
import { pause } from '../../../config/process/pause.ts'
import { type KafkaOptions, type NewTopic, NoSuchTopic, type TopicAdmin } from '../client.ts'
import { ErrorCode } from '../error-codes.ts'
import { brokerErrorCodes, describeError, isNoSuchTopic } from '../errors.ts'
import {
  newTopicConfigEntries,
  parseTopicConfig,
  type TopicConfig,
  topicConfigNames,
} from '../topic-settings.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { clientOptions } from './configuration.ts'
import { isRetriable, ProtocolError, protocol } from './internals.ts'
import { listOffsets } from './offsets.ts'

const WRITABLE_WITHIN_MS = 10_000
const RETRY_MS = 50

/** Kafka's resource type for topics in a DescribeConfigs request. */
const TOPIC = 2 as const

export function createTopicAdmin(options: KafkaOptions): TopicAdmin {
  return {
    partitionsOf: topic =>
      withCluster(options, async cluster => (await cluster.leadersOf(topic)).count),
    settingsOf: topic =>
      withCluster(options, async cluster => {
        const partitions = await readPartitions(cluster, topic)
        return {
          partitions: partitions.length,
          replicas: Math.min(...partitions.map(({ replicaNodes }) => replicaNodes.length)),
          config: await readConfig(cluster, topic),
        }
      }),
    committedOffsets: (groupId, topic) =>
      withReason(options, () => readCommitted(options, groupId, topic)),
    brokers: () =>
      withCluster(options, async cluster => {
        const { brokers } = await cluster.askAny(connection =>
          protocol.metadata.async(connection, [], false),
        )
        return brokers.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
      }),
    create: topics => withReason(options, () => createTopics(options, topics)),
  }
}

function withCluster<T>(options: KafkaOptions, work: (cluster: Cluster) => Promise<T>): Promise<T> {
  return withReason(options, async () => {
    await using cluster = openCluster(options)
    return await work(cluster)
  })
}

/** Rejects with the reason and the cure of an error, or with NoSuchTopic. */
async function withReason<T>(options: KafkaOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isNoSuchTopic(error)) throw new NoSuchTopic('the topic does not exist', { cause: error })
    throw new Error(describeError(error, options.brokers), { cause: error })
  }
}

async function readCommitted(options: KafkaOptions, groupId: string, topic: string) {
  const admin = new Admin(clientOptions(options))
  try {
    const groups = await admin.listConsumerGroupOffsets({ groups: [groupId] })
    const offsets = groups
      .flatMap(({ topics }) => topics)
      .filter(({ name }) => name === topic)
      .flatMap(({ partitions }) => partitions)
      .map(
        ({ partitionIndex, committedOffset }) => [partitionIndex, Number(committedOffset)] as const,
      )
    return new Map(offsets.filter(([, offset]) => offset >= 0))
  } finally {
    await admin.close().catch(() => {})
  }
}

async function readPartitions(cluster: Cluster, topic: string) {
  const response = await cluster.askAny(connection =>
    protocol.metadata.async(connection, [topic], false),
  )
  const { errorCode, partitions } = response.topics[0]!
  if (errorCode !== ErrorCode.NONE) throw new ProtocolError(errorCode)
  return partitions
}

async function readConfig(cluster: Cluster, topic: string): Promise<TopicConfig | 'not allowed'> {
  const resource = {
    resourceType: TOPIC,
    resourceName: topic,
    configurationKeys: [...topicConfigNames],
  }
  const { results } = await cluster.askAny(connection =>
    protocol.describeConfigs.async(connection, [resource], false, false),
  )
  const { errorCode, configs } = results[0]!
  if (errorCode === ErrorCode.TOPIC_AUTHORIZATION_FAILED) return 'not allowed'
  if (errorCode !== ErrorCode.NONE) throw new ProtocolError(errorCode)
  return parseTopicConfig(new Map(configs.map(({ name, value }) => [name, value ?? ''])))
}

async function createTopics(options: KafkaOptions, topics: NewTopic[]): Promise<void> {
  const admin = new Admin(clientOptions(options))
  try {
    // One request per topic, because an error does not name the topic it is about.
    for (const { topic, partitions, replicas, ...kind } of topics) {
      const configs = newTopicConfigEntries(kind)
      const replication = replicas === undefined ? {} : { replicas }
      const creating = admin.createTopics({ topics: [topic], partitions, configs, ...replication })
      await creating.catch(error => {
        if (!brokerErrorCodes(error).includes(ErrorCode.TOPIC_ALREADY_EXISTS)) throw error
      })
    }
  } finally {
    await admin.close().catch(() => {})
  }
  await using cluster = openCluster(options)
  const deadlineMs = performance.now() + WRITABLE_WITHIN_MS
  for (const { topic } of topics) {
    while (!(await isWritable(cluster, topic))) {
      if (performance.now() > deadlineMs) {
        const seconds = WRITABLE_WITHIN_MS / 1000
        throw new Error(
          `topic ${topic} was created, but not all its partitions have a leader after ${seconds} s`,
        )
      }
      await pause(RETRY_MS)
    }
  }
}

/**
 * Whether every partition of `topic` accepts writes. Requests an offset from the leader of each
 * partition, because a leader may learn later than other brokers that it leads a partition of the
 * new topic.
 */
async function isWritable(cluster: Cluster, topic: string): Promise<boolean> {
  try {
    await listOffsets(cluster, await cluster.leadersOf(topic), topic, 'latest')
    return true
  } catch (error) {
    if (isRetriable(error)) return false
    throw error
  }
}
