import { errorCodeName } from './error-codes.ts'

/**
 * What went wrong on the way to Kafka, with the cure. A pattern matches an error's name, its code
 * (a broker's numeric code by Kafka's name for the code) or its message. The first match counts.
 */
export const ERROR_REASONS: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /^CERT_HAS_EXPIRED$/,
    "the broker's certificate has expired: renew it there, or set the clock here",
  ],
  [/^CERT_NOT_YET_VALID$/, "the broker's certificate is not valid yet: set the clock here"],
  [
    /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_SIGNATURE_FAILURE)$/,
    "the broker's certificate is not signed by an authority in kafka.tls.caFile",
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    "the broker's certificate is for another host: in kafka.brokers and in the broker's " +
      'advertised.listeners, use the host name in the certificate',
  ],
  [/KEY[ _]VALUES[ _]MISMATCH/i, 'kafka.tls.keyFile is not the key of kafka.tls.certFile'],
  [
    /^ERR_SSL_.*ALERT_(BAD_CERT|CERT|UNKNOWN_CA|UNSUPPORTED_CERT|.*HANDSHAKE_FAILURE)/,
    'the broker requires a client certificate that it trusts: see kafka.tls.certFile and keyFile',
  ],
  [
    /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$|before secure TLS connection was/,
    'the server at this port does not speak TLS: see the port in kafka.brokers, and kafka.tls',
  ],
  [/^Broker requires TLS\.$/, 'the broker requires TLS at this port: see kafka.tls'],
  [
    /^SASL_AUTHENTICATION_FAILED$|^SASL .* failed: Authentication failed/,
    'wrong user name or password: see kafka.sasl.username and passwordFile',
  ],
  [
    /^UNSUPPORTED_SASL_MECHANISM$|mechanism is not supported by the server/,
    'the broker does not offer this SASL mechanism: see kafka.sasl.mechanism',
  ],
  [/^ILLEGAL_SASL_STATE$/, 'the broker expects no SASL log-in at this port: see kafka.sasl'],
  [
    /^TOPIC_AUTHORIZATION_FAILED$/,
    'this user may not use the topic, or the topic does not exist: see kafka.topics and ' +
      'docs/security.md',
  ],
  [
    /^GROUP_AUTHORIZATION_FAILED$|^Failed to find group coordinator$/,
    'this user may not read, or may not use this consumer group: see docs/security.md',
  ],
  [
    /^CLUSTER_AUTHORIZATION_FAILED$/,
    'this user has no right to do this on the cluster: see docs/security.md',
  ],
  [
    /^ECONNREFUSED$/,
    'connection refused: is the broker up, and is its address in kafka.brokers right?',
  ],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'the host name cannot be resolved: see kafka.brokers'],
  [
    /^INVALID_TIMESTAMP$/,
    'Kafka refuses the time of the records: set the clock of this machine, or change ' +
      'message.timestamp.before.max.ms, message.timestamp.after.max.ms or ' +
      'message.timestamp.type=LogAppendTime of the topic',
  ],
  [
    /^Producing to topic without metadata$/,
    'Kafka names no broker yet: it is starting, or its cluster has no broker',
  ],
  [
    /^(Closed connection|Connection closed|ECONNRESET|EPIPE)$/,
    'the broker closed the connection: it is shutting down, or expects other settings in ' +
      'kafka.tls or kafka.sasl',
  ],
]

type LibraryError = Error & { code?: unknown; apiCode?: unknown; broker?: unknown }

/** Errors of an address that cannot be reached, and what happens there. */
const UNREACHABLE: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'the host name cannot be resolved'],
  [/^ECONNREFUSED$/, 'connection refused'],
  [/^(EHOSTUNREACH|ENETUNREACH)$/, 'there is no route to this address'],
  [/^ETIMEDOUT$|^Connection timeout$|^Connection to \S+ timed out\.$/, 'no answer in time'],
]

/**
 * The reason of an error with these causes, after the broker's address where that is known.
 * `configured` is `kafka.brokers`: Kafka itself advertises any other address.
 */
export function errorReason(
  causes: readonly Error[],
  configured: readonly string[],
): string | null {
  const names = causes.flatMap(namesOf)
  const reasonIn = (table: typeof ERROR_REASONS) =>
    table.find(([pattern]) => names.some(name => pattern.test(name)))?.[1] ?? null
  const broker = causes.map(brokerOf).find(address => address !== null)
  const unreachable = reasonIn(UNREACHABLE)
  if (broker && unreachable && configured.length > 0 && !configured.includes(broker)) {
    return (
      `${broker}: ${unreachable}: Kafka at ${configured.join(', ')} (kafka.brokers) advertises ` +
      'this address; set advertised.listeners of that broker to an address that this machine ' +
      'reaches, or make the name known here'
    )
  }
  const reason = reasonIn(ERROR_REASONS)
  return reason && broker ? `${broker}: ${reason}` : reason
}

function namesOf(error: Error): string[] {
  const { code, apiCode, name, message } = error as LibraryError
  const codes = [code, apiCode].filter(value => value !== undefined)
  return [
    name,
    message,
    ...codes.map(value => (typeof value === 'number' ? errorCodeName(value) : `${value}`)),
  ]
}

/** The broker's host:port: a property in kafkajs, in the message of @platformatic/kafka. */
function brokerOf(error: Error): string | null {
  const { broker, message } = error as LibraryError
  if (typeof broker === 'string') return broker
  return /^Connection to (\S+:\d+) (?:failed|timed out)\.$/.exec(message)?.[1] ?? null
}
