import type { KafkaClient, KafkaOptions } from '../client.ts'
import { openEventSink } from '../sink.ts'
import { createGroup } from './group.ts'
import { openProducer } from './producer.ts'
import { createEventStream } from './stream.ts'
import { createTopicAdmin } from './topics.ts'

/** Kafka through @platformatic/kafka. */
export function createPlatformaticClient(options: KafkaOptions): KafkaClient {
  return {
    openSink: onStored => openEventSink(() => openProducer(options, onStored), options),
    stream: createEventStream(options),
    topics: createTopicAdmin(options),
    group: createGroup(options),
  }
}
