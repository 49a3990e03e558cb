import type { KafkaClient, KafkaOptions } from './client.ts'

/** Loads the configured library and no other: each takes its memory. */
export async function createKafkaClient(options: KafkaOptions): Promise<KafkaClient> {
  if (options.client === 'platformatic') {
    const { createPlatformaticClient: openPlatformatic } = await import('./platformatic/client.ts')
    return openPlatformatic(options)
  }
  const { createKafkajsClient: openKafkajs } = await import('./kafkajs/client.ts')
  return openKafkajs(options)
}
