// What went wrong on the way to Kafka, in words that name the cure: for whoever reads the log.

/** By what an error is called: its name, its code, a broker's code as `Kafka 29`, its message. */
export const ERROR_REASONS: readonly (readonly [RegExp, string])[] = [
  [
    /^CERT_HAS_EXPIRED$/,
    "the broker's certificate has expired: renew it there, or set the clock here",
  ],
  [/^CERT_NOT_YET_VALID$/, "the broker's certificate is not valid yet: set the clock here"],
  [
    /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_SIGNATURE_FAILURE)$/,
    "the broker's certificate is signed by nobody in kafka.tls.caFile",
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    "the broker's certificate is for another host: name it in kafka.brokers, and in its own " +
      'advertised.listeners, as the certificate does',
  ],
  [/KEY[ _]VALUES[ _]MISMATCH/i, 'kafka.tls.keyFile is not the key to kafka.tls.certFile'],
  [
    /^ERR_SSL_.*ALERT_(BAD_CERT|CERT|UNKNOWN_CA|UNSUPPORTED_CERT|.*HANDSHAKE_FAILURE)/,
    'the broker asks for a certificate that it trusts: see kafka.tls.certFile and keyFile',
  ],
  [
    /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$|before secure TLS connection was/,
    'what listens there does not speak TLS: see the port in kafka.brokers, and kafka.tls',
  ],
  [/^Broker requires TLS\.$/, 'the broker asks for encryption at this port: see kafka.tls'],
  [
    /^Kafka 58$|^SASL .* failed: Authentication failed/,
    'wrong user name or password: see kafka.sasl.username and passwordFile',
  ],
  [
    /^Kafka 33$|mechanism is not supported by the server/,
    'the broker does not offer this way to log in: see kafka.sasl.mechanism',
  ],
  [/^Kafka 34$/, 'the broker asks for no password at this port: see kafka.sasl'],
  [
    /^Kafka 29$/,
    'this user may not use the topic, or there is none of this name: see kafka.topics and ' +
      'docs/security.md',
  ],
  [
    /^Kafka 30$|^Failed to find group coordinator$/,
    'this user may not read, or not with this group: see docs/security.md',
  ],
  [/^Kafka 31$/, 'this user may do nothing like this here: see docs/security.md'],
  [/^ECONNREFUSED$/, 'nobody listens there: is it up, and is its address in kafka.brokers right?'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'a host of this name is not known: see kafka.brokers'],
  [
    /^(Closed connection|Connection closed|ECONNRESET|EPIPE)$/,
    'the broker closed the connection: it ends, or expects another kafka.tls or kafka.sasl',
  ],
]

type Said = Error & { code?: unknown; apiCode?: unknown; broker?: unknown }

/** What an error and its causes come to, or null when that is not known. */
export function errorReason(causes: readonly Error[]): string | null {
  const names = causes.flatMap(namesOf)
  const [, reason = null] =
    ERROR_REASONS.find(([said]) => names.some(name => said.test(name))) ?? []
  const broker = causes.map(brokerOf).find(host => host !== null)
  return reason && broker ? `${broker}: ${reason}` : reason
}

function namesOf(error: Error): string[] {
  const { code, apiCode, name, message } = error as Said
  const codes = [code, apiCode].filter(one => one !== undefined)
  return [name, message, ...codes.map(one => (typeof one === 'number' ? `Kafka ${one}` : `${one}`))]
}

/** Which broker it was, as kafkajs keeps it and as @platformatic/kafka says it. */
function brokerOf(error: Error): string | null {
  const { broker, message } = error as Said
  if (typeof broker === 'string') return broker
  return /^Connection to (\S+:\d+) failed\.$/.exec(message)?.[1] ?? null
}
