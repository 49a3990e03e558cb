import type { KafkaClient, KafkaOptions } from './client.ts'

/** Creates a client of the configured library. Loads only that library, to save memory. */
export async function createKafkaClient(options: KafkaOptions): Promise<KafkaClient> {
  if (options.client === 'platformatic') {
    const { createPlatformaticClient } = await import('./platformatic/client.ts')
    return createPlatformaticClient(options)
  }
  const { createKafkajsClient } = await import('./kafkajs/client.ts')
  return createKafkajsClient(options)
}
