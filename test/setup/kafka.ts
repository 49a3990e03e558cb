import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { endOffsets, type ReadRecord, readBetween } from '../../cloud-bridge/kafka/reader.ts'
import type { SinkOptions } from '../../cloud-bridge/kafka/sink.ts'
import { createTopics } from '../../cloud-bridge/kafka/topics.ts'
import { defaults } from '../../config/config.ts'

export { describeWithKafka } from './java.ts'

/** How to reach the Kafka that all files of a run share. */
export const shared = (): SinkOptions => kafkaAt(inject('brokers'))

/** How to reach a Kafka; requests are given up after `requestTimeoutMs`. */
export function kafkaAt(brokers: string[], requestTimeoutMs = 10_000): SinkOptions {
  return { ...defaults.kafka, brokers, requestTimeoutMs }
}

/** Creates a topic that no other test has, as the bridge's own are created; gives its name. */
export async function freshTopic(kafka: SinkOptions, partitions: number): Promise<string> {
  const topic = `test-${randomUUID()}`
  await createTopics(kafka, [{ topic, partitions }])
  return topic
}

/** All that a fresh reader finds in a topic now: per partition, each in its order. */
export async function readTopic(kafka: SinkOptions, topic: string): Promise<ReadRecord[][]> {
  const ends = await endOffsets(kafka, topic)
  const found: ReadRecord[][] = Array.from(ends, () => [])
  await readBetween(kafka, topic, new Map(), ends, record => found[record.partition]!.push(record))
  return found
}
