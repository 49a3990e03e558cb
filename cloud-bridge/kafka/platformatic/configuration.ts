import { isIP } from 'node:net'
import {
  type BaseOptions,
  type Broker,
  type ConnectionOptions,
  compressionsAlgorithms,
} from '@platformatic/kafka'
import type { KafkaOptions } from '../client.ts'
import { compressZstd } from '../zstd.ts'

const CONNECT_MAX_MS = 3000

// The library has no setting for it.
Object.assign(compressionsAlgorithms.zstd, {
  compressSync: (data: Buffer | { buffer: Buffer }) =>
    compressZstd(Buffer.isBuffer(data) ? data : data.buffer),
})

/** How this library connects, as configured. */
export function connectionOptions(options: KafkaOptions): ConnectionOptions {
  const { requestTimeoutMs, sasl, tls } = options
  const configured: ConnectionOptions = {
    requestTimeout: requestTimeoutMs,
    connectTimeout: Math.min(requestTimeoutMs, CONNECT_MAX_MS),
  }
  if (tls) {
    const { ca, cert, key } = tls
    configured.tls = { ca: ca.reveal() }
    if (cert) configured.tls.cert = cert.reveal()
    if (key) configured.tls.key = key.reveal()
    // A name is asked for, because many brokers may stand behind one address; an IP must not be.
    configured.tlsServerName = configuredBrokers(options).every(({ host }) => isIP(host) === 0)
  }
  if (sasl) {
    const mechanism = sasl.mechanism.toUpperCase() as Uppercase<typeof sasl.mechanism>
    configured.sasl = { mechanism, username: sasl.username, password: sasl.password.reveal() }
  }
  return configured
}

/** What a client object of this library takes; it tries each thing again a few times. */
export function clientOptions(options: KafkaOptions): BaseOptions {
  return {
    ...connectionOptions(options),
    clientId: options.clientId,
    bootstrapBrokers: configuredBrokers(options),
    timeout: options.requestTimeoutMs,
    retries: 5,
    retryDelay: (_client, _operation, attempt) => Math.min(1000, 100 * 2 ** attempt),
  }
}

/** The configured brokers (an IPv6 address in brackets). */
export function configuredBrokers({ brokers }: KafkaOptions): Broker[] {
  return brokers.map(broker => {
    const at = broker.lastIndexOf(':')
    const host = broker.slice(0, at).replace(/^\[(.*)\]$/, '$1')
    return { host, port: Number(broker.slice(at + 1)) }
  })
}
