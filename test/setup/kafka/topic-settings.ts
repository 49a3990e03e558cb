import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Admin,
  ConfigResourceTypes,
  IncrementalAlterConfigOperationTypes,
} from '@platformatic/kafka'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { clientOptions } from '../../../cloud-bridge/kafka/platformatic/configuration.ts'
import { partitionsOf } from './kafka.ts'

const LOOK_AGAIN_MS = 50

type Settings = Record<string, string>

type Plan = { topic?: string; partitions: number; replicas?: number; settings?: Settings }

/** Creates a topic with settings of its own (LogAppendTime unless they say otherwise). */
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

/** Gives a topic more partitions; resolves when it has them. */
export async function addPartitions(kafka: KafkaOptions, topic: string, count: number) {
  // The other library insists on saying where each new partition is to be.
  const admin = createKafkajs(kafka).admin()
  try {
    await admin.connect()
    await admin.createPartitions({ topicPartitions: [{ topic, count }] })
  } finally {
    await admin.disconnect()
  }
  while ((await partitionsOf(kafka, topic)) < count) await sleep(LOOK_AGAIN_MS)
}

async function administer(kafka: KafkaOptions, work: (admin: Admin) => Promise<unknown>) {
  const admin = new Admin(clientOptions(kafka))
  try {
    await work(admin)
  } finally {
    await admin.close().catch(() => {})
  }
}
