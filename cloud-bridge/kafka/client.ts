import type { Config } from '../../config/config.ts'
import type { ConsumerGroup } from '../ports/consumer-group.ts'
import type { EventSink, StoredRecords } from '../ports/event-sink.ts'
import type { EventStream } from '../ports/event-stream.ts'
import type { TopicSettings } from './topic-settings.ts'

/** How to reach Kafka, and through which client library. */
export type KafkaOptions = Pick<
  Config['kafka'],
  'client' | 'brokers' | 'clientId' | 'requestTimeoutMs' | 'compression' | 'sasl' | 'tls'
>

/** A topic to create. Without `replicas` Kafka's default replication factor applies. */
export type NewTopic = {
  topic: string
  partitions: number
  replicas?: number
  /** Kafka keeps only the newest record of each key of a compacted topic. */
  isCompacted?: boolean
  /** Kafka keeps all records for ever. */
  isKept?: boolean
}

/** Topic administration, and queries about topics and brokers. */
export type TopicAdmin = {
  /**
   * The number of partitions of a topic. Rejects with NoSuchTopic, or while Kafka is unavailable.
   */
  partitionsOf(topic: string): Promise<number>
  /** The settings of a topic. Rejects with NoSuchTopic, or while Kafka is unavailable. */
  settingsOf(topic: string): Promise<TopicSettings>
  /**
   * The offsets that a consumer group has committed for a topic, by partition. Partitions without a
   * commit are left out. Rejects while Kafka is unavailable.
   */
  committedOffsets(groupId: string, topic: string): Promise<Map<number, number>>
  /** The brokers' advertised addresses, host:port each. Rejects while Kafka is unavailable. */
  brokers(): Promise<string[]>
  /**
   * Creates the missing topics with Kafka's append time (LogAppendTime): if retention counted from
   * the events' own times, Kafka would delete a late backlog at once. Existing topics are left
   * unchanged. Resolves when every topic accepts writes.
   */
  create(topics: NewTopic[]): Promise<void>
}

/** Kafka is available, and the topic does not exist. */
export class NoSuchTopic extends Error {}

/** Kafka through one client library. Connects on first use. */
export type KafkaClient = {
  /**
   * Opens a sink with its own producer. A sink accepts one send at a time. `onStored` is called for
   * each partition whose records Kafka acknowledges, except records that Kafka had stored before.
   */
  openSink(onStored?: (stored: StoredRecords) => void): EventSink & AsyncDisposable
  stream: EventStream
  topics: TopicAdmin
  group: ConsumerGroup
}
