import { zstdDecompressSync } from 'node:zlib'
import kafkajs, { type ISocketFactory, type KafkaConfig } from 'kafkajs'
import type { KafkaOptions } from '../client.ts'
import { compressZstd } from '../zstd.ts'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs

CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder: { buffer: Buffer }) => compressZstd(encoder.buffer),
  decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
})

/** The client library's number for a configured compression. */
export const compressionTypes = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  zstd: CompressionTypes.ZSTD,
}

/**
 * A kafkajs client as configured; it connects to nothing yet. It is silent: its user tells. It
 * tries each thing, connecting included, again `retries` times (0 is refused by some).
 */
export function createKafkajs(options: KafkaOptions, retries = 5, socketFactory?: ISocketFactory) {
  const { brokers, clientId, requestTimeoutMs, sasl, tls } = options
  const more: Partial<KafkaConfig> = {}
  if (socketFactory) more.socketFactory = socketFactory
  if (tls) {
    const { ca, cert, key } = tls
    more.ssl = { ca: ca.reveal() }
    if (cert) more.ssl.cert = cert.reveal()
    if (key) more.ssl.key = key.reveal()
  }
  if (sasl) {
    const { mechanism, username, password } = sasl
    more.sasl = { mechanism, username, password: password.reveal() } as KafkaConfig['sasl'] & {}
  }
  return new Kafka({
    brokers: [...brokers],
    clientId,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: Math.min(requestTimeoutMs, 3000),
    retry: { retries, initialRetryTime: 100, maxRetryTime: 1000 },
    logLevel: logLevel.NOTHING,
    ...more,
  })
}
