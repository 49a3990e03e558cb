import type { Config } from '../../config/config.ts'
import type { ConsumerGroup } from '../ports/consumer-group.ts'
import type { EventSink } from '../ports/event-sink.ts'
import type { EventStream } from '../ports/event-stream.ts'
import type { TopicSettings } from './topic-settings.ts'

/** How to reach Kafka, and through which library. */
export type KafkaOptions = Pick<
  Config['kafka'],
  'client' | 'brokers' | 'clientId' | 'requestTimeoutMs' | 'compression' | 'sasl' | 'tls'
>

/**
 * A topic to be; Kafka decides how many copies there are unless `replicas` says. Of a compacted one
 * it keeps the newest record of each key.
 */
export type NewTopic = {
  topic: string
  partitions: number
  replicas?: number
  isCompacted?: boolean
}

/** What an administrator of topics does, and who asks about them. */
export type TopicAdmin = {
  /** How many partitions a topic has. Rejects with NoSuchTopic, or while Kafka is away. */
  partitionsOf(topic: string): Promise<number>
  /** How a topic is set up. Rejects with NoSuchTopic, or while Kafka is away. */
  settingsOf(topic: string): Promise<TopicSettings>
  /** Where brokers say that they can be reached, host:port each. Rejects while Kafka is away. */
  brokers(): Promise<string[]>
  /**
   * Creates the topics that are missing, with Kafka's own time of appending, because by the event's
   * own time Kafka deletes a late backlog at once. Existing topics are left as they are. Resolves
   * when all of them can be written to.
   */
  create(plans: NewTopic[]): Promise<void>
}

/** Kafka is there, and a topic is not. */
export class NoSuchTopic extends Error {}

/** Kafka through one library. It connects when it is used; what is opened must be disposed of. */
export type KafkaClient = {
  /** A producer of its own each time: it takes one send at a time. */
  openSink(): EventSink & AsyncDisposable
  stream: EventStream
  topics: TopicAdmin
  group: ConsumerGroup
}
