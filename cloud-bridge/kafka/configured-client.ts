import type { KafkaClient, KafkaOptions } from './client.ts'

/** Loads the configured library and no other: each takes its memory. */
export async function openKafka(options: KafkaOptions): Promise<KafkaClient> {
  if (options.client === 'platformatic') {
    const { openPlatformatic } = await import('./platformatic/client.ts')
    return openPlatformatic(options)
  }
  const { openKafkajs } = await import('./kafkajs/client.ts')
  return openKafkajs(options)
}
