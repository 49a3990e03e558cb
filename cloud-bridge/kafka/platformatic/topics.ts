import { setTimeout as sleep } from 'node:timers/promises'
import { Admin, describeConfigsV4, metadataV9, ProtocolError } from '@platformatic/kafka'
import { type KafkaOptions, type NewTopic, NoSuchTopic, type TopicAdmin } from '../client.ts'
import { brokerErrorCodes, describeError, isNoSuchTopic } from '../errors.ts'
import {
  newTopicConfigEntries,
  parseTopicConfig,
  type TopicConfig,
  topicConfigNames,
} from '../topic-settings.ts'
import { type Cluster, isRetriable, openCluster } from './cluster.ts'
import { clientOptions } from './configuration.ts'
import { listOffsets } from './offsets.ts'

const KNOWN_WITHIN_MS = 10_000
const LOOK_AGAIN_MS = 50
const TOPIC_ALREADY_EXISTS = 36
const TOPIC_NOT_ALLOWED = 29

/** Kafka's number for a topic among what has settings. */
const TOPIC = 2 as const

export function createTopicAdmin(options: KafkaOptions): TopicAdmin {
  const asking = <T>(ask: (cluster: Cluster) => Promise<T>) => withCluster(options, ask)
  return {
    partitionsOf: topic => asking(async cluster => (await cluster.leadersOf(topic)).count),
    settingsOf: topic =>
      asking(async cluster => {
        const partitions = await partitionsIn(cluster, topic)
        return {
          partitions: partitions.length,
          replicas: Math.min(...partitions.map(({ replicaNodes }) => replicaNodes.length)),
          keeping: await keepingOf(cluster, topic),
        }
      }),
    brokers: () =>
      asking(async cluster => {
        const { brokers } = await cluster.askAny(via => metadataV9.api.async(via, [], false))
        return brokers.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
      }),
    create: plans => create(options, plans),
  }
}

async function withCluster<T>(options: KafkaOptions, ask: (cluster: Cluster) => Promise<T>) {
  await using cluster = openCluster(options)
  try {
    return await ask(cluster)
  } catch (error) {
    if (isNoSuchTopic(error)) throw new NoSuchTopic('Kafka has no such topic', { cause: error })
    throw new Error(describeError(error), { cause: error })
  }
}

async function partitionsIn(cluster: Cluster, topic: string) {
  const answer = await cluster.askAny(via => metadataV9.api.async(via, [topic], false))
  const { errorCode, partitions } = answer.topics[0]!
  if (errorCode !== 0) throw new ProtocolError(errorCode)
  return partitions
}

async function keepingOf(cluster: Cluster, topic: string): Promise<TopicConfig | 'not allowed'> {
  const asked = {
    resourceType: TOPIC,
    resourceName: topic,
    configurationKeys: [...topicConfigNames],
  }
  const { results } = await cluster.askAny(via =>
    describeConfigsV4.api.async(via, [asked], false, false),
  )
  const { errorCode, configs } = results[0]!
  if (errorCode === TOPIC_NOT_ALLOWED) return 'not allowed'
  if (errorCode !== 0) throw new ProtocolError(errorCode)
  return parseTopicConfig(new Map(configs.map(({ name, value }) => [name, value ?? ''])))
}

async function create(options: KafkaOptions, plans: NewTopic[]): Promise<void> {
  const admin = new Admin(clientOptions(options))
  try {
    // One after the other, because an error does not say which of several topics it is about.
    for (const { topic, partitions, replicas, ...plan } of plans) {
      const configs = newTopicConfigEntries(plan)
      const copies = replicas === undefined ? {} : { replicas }
      const creating = admin.createTopics({ topics: [topic], partitions, configs, ...copies })
      await creating.catch(error => {
        if (!brokerErrorCodes(error).includes(TOPIC_ALREADY_EXISTS)) throw error
      })
    }
  } finally {
    await admin.close().catch(() => {})
  }
  await using cluster = openCluster(options)
  const giveUpAtMs = performance.now() + KNOWN_WITHIN_MS
  for (const { topic } of plans) {
    while (!(await canBeWritten(cluster, topic))) {
      if (performance.now() > giveUpAtMs)
        throw new Error(`${topic} was created, and has no leaders`)
      await sleep(LOOK_AGAIN_MS)
    }
  }
}

/** A leader may not know of its topic yet when others say that it leads. */
async function canBeWritten(cluster: Cluster, topic: string): Promise<boolean> {
  try {
    await listOffsets(cluster, await cluster.leadersOf(topic), topic, 'latest')
    return true
  } catch (error) {
    if (isRetriable(error)) return false
    throw error
  }
}
