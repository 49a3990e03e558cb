import type { KafkaClient, KafkaOptions } from '../client.ts'
import { openSink } from './sink.ts'
import { openStream } from './stream.ts'
import { openTopics } from './topics.ts'

/** Kafka through kafkajs. */
export function openKafkajs(options: KafkaOptions): KafkaClient {
  return {
    openSink: () => openSink(options),
    stream: openStream(options),
    topics: openTopics(options),
  }
}
