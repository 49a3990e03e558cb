import { randomUUID, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { Kafka, logLevel } from 'kafkajs'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createSecret, type Secret } from '../../../config/loading/secrets.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import {
  type LocalKafka,
  type LocalKafkaOptions,
  startLocalKafka,
} from '../../../simulators/kafka/local-kafka.ts'
import type { Listener } from '../../../simulators/kafka/server-properties.ts'
import { type Authority, type Certified, createAuthority } from '../certificates.ts'
import { cacheDir } from './java.ts'
import { kafkaAt } from './kafka.ts'

/** The listeners with authentication: by client certificate, or by user name and password. */
export type SecuredListener = 'SSL' | 'SASL_SSL'
type Tls = NonNullable<KafkaOptions['tls']>
type Sasl = NonNullable<KafkaOptions['sasl']>

export type SecuredKafka = AsyncDisposable & {
  kafka: LocalKafka
  /** The plain listener, whose clients may do everything. */
  admin: KafkaOptions
  /** Signs the broker's certificates and the certificates of accepted clients. */
  authority: Authority
  /** How to reach a listener with these credentials; trusts `authority` by default. */
  at(listener: SecuredListener, security: { tls?: Partial<Tls>; sasl?: Sasl }): KafkaOptions
  /** Replaces the broker's certificate; resolves when both listeners use it. */
  replaceCertificate(certified: Certified): Promise<void>
}

const REPLACED_WITHIN_MS = 10_000
const POLL_MS = 50

/** The hosts of the broker's certificate. */
export const brokerHosts = ['localhost', '127.0.0.1']
/** The users of SASL PLAIN and their passwords, fixed at the start of Kafka. */
export const plainPasswords: Record<string, string> = {
  gateway: 'plain-secret',
  ledger: 'plain-secret-too',
}

/** The tls options of a client with this certificate. */
export const clientCertificate = ({ cert, key }: Certified) => ({
  cert: createSecret(cert),
  key: createSecret(key),
})

/** The sasl options of a client with this password. */
export function login(
  mechanism: Sasl['mechanism'],
  username: string,
  password: string,
): { sasl: Sasl } {
  const secret: Secret = createSecret(password)
  return { sasl: { mechanism, username, password: secret } as Sasl }
}

/**
 * Starts a Kafka with authentication and authorization by ACLs alone. A client with a certificate
 * for `gateway` is `User:gateway`. SCRAM users are created with Kafka's own tool.
 */
export async function startSecuredKafka(): Promise<SecuredKafka> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-secured-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const authority = createAuthority('Authority of tests')
  const files = { own: join(dir, 'broker.pem'), trusted: join(dir, 'trusted.pem') }
  await writePem(files.own, authority.certify('broker', { hosts: brokerHosts }))
  await writeFile(files.trusted, authority.cert)
  const ports = { SSL: await findFreePort(), SASL_SSL: await findFreePort() }
  const options: LocalKafkaOptions = {
    ...{ dir: join(dir, 'kafka'), port: 0, cacheDir },
    listeners: (['SSL', 'SASL_SSL'] as const).map(
      (name): Listener => ({ name, protocol: name, port: ports[name] }),
    ),
    properties: settings(files),
  }
  const kafka = stack.use(await startLocalKafka(options))
  const resources = stack.move()
  return {
    kafka,
    admin: kafkaAt(kafka.brokers),
    authority,
    at: (listener, { tls, sasl }) => ({
      ...kafkaAt([`127.0.0.1:${ports[listener]}`]),
      tls: { ca: createSecret(authority.cert), ...tls } as Tls,
      sasl: sasl ?? null,
    }),
    async replaceCertificate(certified) {
      // Kafka reads a file again only under another name.
      const file = join(dir, `${randomUUID()}.pem`)
      await writePem(file, certified)
      await readKeysFrom(file, kafka.brokers)
      // Kafka confirms the change before it uses the certificate.
      for (const port of Object.values(ports)) await untilUsed(certified, port)
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

const writePem = (file: string, { cert, key }: Certified) =>
  writeFile(file, key + cert, { mode: 0o600 })

async function readKeysFrom(file: string, brokers: string[]): Promise<void> {
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const configEntries = ['ssl', 'sasl_ssl'].map(name => ({
    name: `listener.name.${name}.ssl.keystore.location`,
    value: file,
  }))
  // 4 is Kafka's resource type for a broker.
  const resources = [{ type: 4, name: '1', configEntries }]
  await admin.alterConfigs({ validateOnly: false, resources }).finally(() => admin.disconnect())
}

async function untilUsed({ cert }: Certified, port: number): Promise<void> {
  const expected = new X509Certificate(cert).fingerprint256
  const deadlineMs = performance.now() + REPLACED_WITHIN_MS
  while ((await fingerprintAt(port)) !== expected) {
    if (performance.now() > deadlineMs) throw new Error('the broker still uses the old certificate')
    await sleep(POLL_MS)
  }
}

/** Reads the certificate without verifying it. */
async function fingerprintAt(port: number): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  // The broker closes connections of clients without a certificate.
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  const fingerprint = socket.getPeerX509Certificate()?.fingerprint256
  socket.destroy()
  return fingerprint
}

function settings(files: { own: string; trusted: string }): Record<string, string> {
  const login = 'org.apache.kafka.common.security'
  const users = Object.entries(plainPasswords).map(([name, word]) => ` user_${name}="${word}"`)
  const scram = `${login}.scram.ScramLoginModule required;`
  const jaasKey = (mechanism: string) => `listener.name.sasl_ssl.${mechanism}.sasl.jaas.config`
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': files.own,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': files.trusted,
    'ssl.client.auth': 'required',
    // Allows another certificate without a restart.
    'ssl.allow.san.changes': 'true',
    'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+).*$/$1/,DEFAULT',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    [jaasKey('plain')]: `${login}.plain.PlainLoginModule required${users.join('')};`,
    [jaasKey('scram-sha-256')]: scram,
    [jaasKey('scram-sha-512')]: scram,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    // Clients of the plain listener, brokers and controllers included.
    'super.users': 'User:ANONYMOUS',
  }
}
