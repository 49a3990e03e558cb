import { zstdDecompressSync } from 'node:zlib'
import kafkajs, { type ISocketFactory, type KafkaConfig } from 'kafkajs'
import type { KafkaOptions } from '../client.ts'
import { compressZstd } from '../zstd.ts'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs

CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder: { buffer: Buffer }) => compressZstd(encoder.buffer),
  decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
})

/** The library's numbers for the configurable compressions. */
export const compressionTypes = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  zstd: CompressionTypes.ZSTD,
}

/**
 * A kafkajs client as configured. It does not connect yet, and it logs nothing: callers report
 * errors. It retries each operation, connecting included, `retries` times; some operations of
 * kafkajs reject a value of 0.
 */
export function createKafkajs(options: KafkaOptions, retries = 5, socketFactory?: ISocketFactory) {
  const { brokers, clientId, requestTimeoutMs, sasl, tls } = options
  const optional: Partial<KafkaConfig> = {}
  if (socketFactory) optional.socketFactory = socketFactory
  if (tls) {
    const { ca, cert, key } = tls
    optional.ssl = { ca: ca.reveal() }
    if (cert) optional.ssl.cert = cert.reveal()
    if (key) optional.ssl.key = key.reveal()
  }
  if (sasl) {
    const { mechanism, username, password } = sasl
    optional.sasl = { mechanism, username, password: password.reveal() } as KafkaConfig['sasl'] & {}
  }
  return new Kafka({
    brokers: [...brokers],
    clientId,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: Math.min(requestTimeoutMs, 3000),
    retry: { retries, initialRetryTime: 100, maxRetryTime: 1000 },
    logLevel: logLevel.NOTHING,
    ...optional,
  })
}
