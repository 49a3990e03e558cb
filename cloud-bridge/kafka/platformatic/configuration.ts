import { isIP } from 'node:net'
import type { BaseOptions, ConnectionOptions } from '@platformatic/kafka'
import type { KafkaOptions } from '../client.ts'
import { compressZstd } from '../zstd.ts'
import { type Broker, useZstd } from './internals.ts'

const CONNECT_MAX_MS = 3000

useZstd(compressZstd)

/** The configured connection options in this library's terms. */
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
    // SNI: several brokers may share one address; RFC 6066 forbids an IP address as the name.
    configured.tlsServerName = configuredBrokers(options).every(({ host }) => isIP(host) === 0)
  }
  if (sasl) {
    const mechanism = sasl.mechanism.toUpperCase() as Uppercase<typeof sasl.mechanism>
    configured.sasl = { mechanism, username: sasl.username, password: sasl.password.reveal() }
  }
  return configured
}

/** The options of the library's client classes, which retry each operation a few times. */
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

/** The configured brokers; an IPv6 address is written in brackets. */
export function configuredBrokers({ brokers }: KafkaOptions): Broker[] {
  return brokers.map(address => {
    const colon = address.lastIndexOf(':')
    const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
    return { host, port: Number(address.slice(colon + 1)) }
  })
}
