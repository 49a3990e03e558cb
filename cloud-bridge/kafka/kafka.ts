import type { KafkaClient, KafkaOptions } from './client.ts'

/** Loads the configured library and no other: each takes its memory. */
export async function openKafka(options: KafkaOptions): Promise<KafkaClient> {
  if (options.client === 'platformatic') {
    throw new Error('kafka.client platformatic is not there yet')
  }
  const { openKafkajs } = await import('./kafkajs/client.ts')
  return openKafkajs(options)
}
