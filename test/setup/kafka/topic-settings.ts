import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Admin,
  ConfigResourceTypes,
  IncrementalAlterConfigOperationTypes,
} from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { clientOptions } from '../../../cloud-bridge/kafka/platformatic/configuration.ts'
import { createSecret } from '../../../config/loading/secrets.ts'
import { partitionsOf } from './kafka.ts'

const POLL_MS = 50

type Settings = Record<string, string>

type Plan = { topic?: string; partitions: number; replicas?: number; settings?: Settings }

/** Creates a topic with these settings; the default timestamp type is LogAppendTime. */
export async function createTopicWith(kafka: KafkaOptions, plan: Plan): Promise<string> {
  const { topic = `test-${randomUUID()}`, partitions, replicas = -1, settings = {} } = plan
  const all = { 'message.timestamp.type': 'LogAppendTime', ...settings }
  const configs = Object.entries(all).map(([name, value]) => ({ name, value }))
  const topics = [{ topic, partitions, replicas }]
  await administer(kafka, admin => admin.createTopics({ topics, configs }))
  return topic
}

/** Changes settings of a topic. */
export async function alterTopic(kafka: KafkaOptions, topic: string, settings: Settings) {
  const configs = Object.entries(settings).map(([name, value]) => ({
    name,
    value,
    configOperation: IncrementalAlterConfigOperationTypes.SET,
  }))
  const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs }]
  await administer(kafka, admin => admin.incrementalAlterConfigs({ resources }))
}

/** Adds partitions to a topic. Resolves when Kafka reports them. */
export async function addPartitions(kafka: KafkaOptions, topic: string, count: number) {
  // @platformatic/kafka requires the replica assignment of each new partition.
  const admin = createKafkajs(kafka).admin()
  try {
    await admin.connect()
    await admin.createPartitions({ topicPartitions: [{ topic, count }] })
  } finally {
    await admin.disconnect()
  }
  while ((await partitionsOf(kafka, topic)) < count) await sleep(POLL_MS)
}

/** Reads message.timestamp.type of a topic as the given user. */
export async function timestampTypeOf({ brokers, sasl, tls }: KafkaOptions, topic: string) {
  const { password, ...rest } = sasl ?? { password: createSecret('') }
  const admin = new Kafka({
    ...{ brokers: [...brokers], logLevel: logLevel.NOTHING },
    ...(tls && { ssl: { ca: tls.ca.reveal() } }),
    ...(sasl && { sasl: { ...rest, password: password.reveal() } as never }),
  }).admin()
  await admin.connect()
  // 2 is Kafka's resource type for topics in a DescribeConfigs request.
  const resource = { type: 2, name: topic, configNames: ['message.timestamp.type'] }
  const { resources } = await admin
    .describeConfigs({ includeSynonyms: false, resources: [resource] })
    .finally(() => admin.disconnect())
  return resources[0]!.configEntries[0]!.configValue
}

async function administer(kafka: KafkaOptions, work: (admin: Admin) => Promise<unknown>) {
  const admin = new Admin(clientOptions(kafka))
  try {
    await work(admin)
  } finally {
    await admin.close().catch(() => {})
  }
}
