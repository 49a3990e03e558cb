import { Producer, type SendOptions } from '@platformatic/kafka'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import type { BareLibrary } from './library.ts'

type Bytes = SendOptions<Buffer, Buffer, Buffer, Buffer>

/**
 * Opens a @platformatic/kafka producer with the bridge's settings and no code of the bridge around
 * it.
 */
export async function openBarePlatformatic(options: KafkaOptions) {
  const { brokers, clientId, requestTimeoutMs, compression } = options
  const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({
    clientId,
    bootstrapBrokers: [...brokers],
    requestTimeout: requestTimeoutMs,
    idempotent: true,
    compression,
    autocreateTopics: false,
  })
  const bytesOf = (headers: Readonly<Record<string, string>> = {}) =>
    new Map(Object.entries(headers).map(([name, value]) => [Buffer.from(name), Buffer.from(value)]))
  const known = new Map<object | undefined, Map<Buffer, Buffer>>()
  const headersOf = (headers: Readonly<Record<string, string>> | undefined) => {
    if (!known.has(headers)) known.set(headers, bytesOf(headers))
    return known.get(headers)!
  }
  return {
    prepare: ({ topic, records }) => ({
      messages: records.map(({ headers, ...record }) => ({
        topic,
        ...record,
        headers: headersOf(headers),
      })),
    }),
    send: prepared => producer.send(prepared),
  } satisfies BareLibrary<Bytes>
}
