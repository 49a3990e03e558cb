import type { KafkaClient, KafkaOptions } from '../client.ts'
import { sinkOn } from '../sink.ts'
import { openGroup } from './group.ts'
import { openProducer } from './producer.ts'
import { openStream } from './stream.ts'
import { openTopics } from './topics.ts'

/** Kafka through @platformatic/kafka. */
export function openPlatformatic(options: KafkaOptions): KafkaClient {
  return {
    openSink: () => sinkOn(() => openProducer(options)),
    stream: openStream(options),
    topics: openTopics(options),
    group: openGroup(options),
  }
}
