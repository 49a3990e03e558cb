import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import {
  compressionTypes,
  createKafkajs,
} from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { createIdempotentProducer } from '../../../cloud-bridge/kafka/kafkajs/producer.ts'
import type { BareLibrary } from './library.ts'

/**
 * Opens a kafkajs producer with the bridge's settings and no code of the bridge around the
 * producer.
 */
export async function openBareKafkajs(options: KafkaOptions) {
  const producer = createIdempotentProducer(createKafkajs(options, 1))
  const compression = compressionTypes[options.compression]
  await producer.connect()
  return {
    prepare: ({ topic, records }) => ({
      topicMessages: [{ topic, messages: records.map(record => ({ ...record })) }],
      acks: -1,
      compression,
    }),
    send: prepared => producer.sendBatch(prepared),
  } satisfies BareLibrary<Parameters<typeof producer.sendBatch>[0]>
}
