import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import type { KafkaOptions, NewTopic } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import type { ReadRecord } from '../../../cloud-bridge/ports/event-stream.ts'
import { defaults } from '../../../config/config.ts'

export { describeWithKafka } from './java.ts'

/** The client libraries; each passes the same suites. */
export const clients = ['kafkajs', 'platformatic'] as const

/** How to reach the Kafka that all test files of a run share. */
export const sharedKafka = (): KafkaOptions => kafkaAt(inject('brokers'))

/** How to reach a Kafka at these brokers. */
export function kafkaAt(brokers: string[], requestTimeoutMs = 10_000): KafkaOptions {
  return { ...defaults.kafka, brokers, requestTimeoutMs }
}

/** Creates topics through the configured library. */
export async function createTopics(kafka: KafkaOptions, plans: NewTopic[]): Promise<void> {
  await (await createKafkaClient(kafka)).topics.create(plans)
}

/** A sink on the configured library. */
export const openKafkaSink = async (kafka: KafkaOptions) =>
  (await createKafkaClient(kafka)).openSink()

/** How many partitions a topic has. */
export async function partitionsOf(kafka: KafkaOptions, topic: string): Promise<number> {
  return (await createKafkaClient(kafka)).topics.partitionsOf(topic)
}

/**
 * Creates a topic that no other test uses, with the settings of the bridge's own topics; returns
 * the topic's name.
 */
export async function freshTopic(kafka: KafkaOptions, partitions: number): Promise<string> {
  const topic = `test-${randomUUID()}`
  await createTopics(kafka, [{ topic, partitions }])
  return topic
}

/**
 * All records that a new reader finds in a topic now: one list per partition, in the order of the
 * offsets.
 */
export async function readTopic(kafka: KafkaOptions, topic: string): Promise<ReadRecord[][]> {
  const { stream } = await createKafkaClient(kafka)
  const ends = (await stream.topicOffsets([topic])).get(topic)!.end
  const found: ReadRecord[][] = Array.from(ends, () => [])
  await stream.readBetween(topic, new Map(), ends, record => found[record.partition]!.push(record))
  return found
}
