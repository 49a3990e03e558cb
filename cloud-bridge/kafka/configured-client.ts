import type { KafkaClient, KafkaOptions } from './client.ts'

const WAITING_AFTER_MS = 3000

/** Creates a client of the configured library. Loads only that library, to save memory. */
export async function createKafkaClient(options: KafkaOptions): Promise<KafkaClient> {
  if (options.client === 'platformatic') {
    const { createPlatformaticClient } = await import('./platformatic/client.ts')
    return createPlatformaticClient(options)
  }
  const { createKafkajsClient } = await import('./kafkajs/client.ts')
  return createKafkajsClient(options)
}

/**
 * Creates a client for a command at a terminal. `onWaiting` gets a line when Kafka does not answer
 * a question about topics, offsets or brokers within `afterMs`.
 */
export async function createCommandClient(
  options: KafkaOptions,
  onWaiting: (line: string) => void,
  afterMs = WAITING_AFTER_MS,
): Promise<KafkaClient> {
  const client = await createKafkaClient(options)
  const line = `waiting for Kafka at ${options.brokers.join(', ')}`
  const reporting =
    <A extends unknown[], R>(ask: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      const timer = setTimeout(() => onWaiting(line), afterMs)
      try {
        return await ask(...given)
      } finally {
        clearTimeout(timer)
      }
    }
  const { stream, topics } = client
  return {
    ...client,
    stream: { ...stream, topicOffsets: reporting(stream.topicOffsets) },
    topics: {
      partitionsOf: reporting(topics.partitionsOf),
      settingsOf: reporting(topics.settingsOf),
      committedOffsets: reporting(topics.committedOffsets),
      brokers: reporting(topics.brokers),
      create: reporting(topics.create),
    },
  }
}
