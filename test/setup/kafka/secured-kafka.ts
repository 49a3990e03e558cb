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

/** The listeners that ask who is there: by a client's certificate, or by name and password. */
export type SecuredListener = 'SSL' | 'SASL_SSL'
type Tls = NonNullable<KafkaOptions['tls']>
type Sasl = NonNullable<KafkaOptions['sasl']>

export type SecuredKafka = AsyncDisposable & {
  kafka: LocalKafka
  /** The way of the administrator, who may do everything: the plain listener. */
  admin: KafkaOptions
  /** Who signed the brokers' certificates, and whose clients are let in. */
  authority: Authority
  /** How to reach a listener with this security; it trusts `authority` unless told otherwise. */
  at(listener: SecuredListener, security: { tls?: Partial<Tls>; sasl?: Sasl }): KafkaOptions
  /** Promise: new connections to both listeners are shown this certificate. */
  show(certified: Certified): Promise<void>
}

const SHOWN_WITHIN_MS = 10_000
const LOOK_AGAIN_MS = 50

/** Where a certificate of the broker is valid. */
export const brokerHosts = ['localhost', '127.0.0.1']
/** Who may log in with PLAIN: Kafka knows them from its start, and no others. */
export const plainPasswords: Record<string, string> = {
  gateway: 'plain-secret',
  ledger: 'plain-secret-too',
}

/** What a client with this certificate presents. */
export const clientCertificate = ({ cert, key }: Certified) => ({
  cert: createSecret(cert),
  key: createSecret(key),
})

/** What a client that knows this password presents. */
export function login(
  mechanism: Sasl['mechanism'],
  username: string,
  password: string,
): { sasl: Sasl } {
  const shown: { password: Secret } = { password: createSecret(password) }
  return { sasl: { mechanism, username, ...shown } as Sasl }
}

/**
 * Promise: a Kafka that asks who is there and allows nothing that no ACL allows. A client whose
 * certificate is for `gateway` is `User:gateway`. Users of SCRAM are created with Kafka's own tool.
 */
export async function startSecuredKafka(): Promise<SecuredKafka> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-secured-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const authority = createAuthority('Authority of tests')
  const files = { own: join(dir, 'broker.pem'), trusted: join(dir, 'trusted.pem') }
  await keep(files.own, authority.certify('broker', { hosts: brokerHosts }))
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
  const parts = stack.move()
  return {
    kafka,
    admin: kafkaAt(kafka.brokers),
    authority,
    at: (listener, { tls, sasl }) => ({
      ...kafkaAt([`127.0.0.1:${ports[listener]}`]),
      tls: { ca: createSecret(authority.cert), ...tls } as Tls,
      sasl: sasl ?? null,
    }),
    async show(certified) {
      // A file that only has other contents is not read again.
      const file = join(dir, `${randomUUID()}.pem`)
      await keep(file, certified)
      await readKeysFrom(file, kafka.brokers)
      // Kafka says yes before it does so.
      for (const port of Object.values(ports)) await untilShown(certified, port)
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

const keep = (file: string, { cert, key }: Certified) =>
  writeFile(file, key + cert, { mode: 0o600 })

async function readKeysFrom(file: string, brokers: string[]): Promise<void> {
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const configEntries = ['ssl', 'sasl_ssl'].map(name => ({
    name: `listener.name.${name}.ssl.keystore.location`,
    value: file,
  }))
  // 4 is Kafka's number for a broker.
  const resources = [{ type: 4, name: '1', configEntries }]
  await admin.alterConfigs({ validateOnly: false, resources }).finally(() => admin.disconnect())
}

async function untilShown({ cert }: Certified, port: number): Promise<void> {
  const expected = new X509Certificate(cert).fingerprint256
  const giveUpAtMs = performance.now() + SHOWN_WITHIN_MS
  while ((await fingerprintAt(port)) !== expected) {
    if (performance.now() > giveUpAtMs) throw new Error('the old certificate is still shown')
    await sleep(LOOK_AGAIN_MS)
  }
}

/** Whoever signed it, and whoever it is for: we only look. */
async function fingerprintAt(port: number): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  // The broker closes a connection that shows it no certificate.
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  const shown = socket.getPeerX509Certificate()?.fingerprint256
  socket.destroy()
  return shown
}

function settings(files: { own: string; trusted: string }): Record<string, string> {
  const login = 'org.apache.kafka.common.security'
  const users = Object.entries(plainPasswords).map(([name, word]) => ` user_${name}="${word}"`)
  const scram = `${login}.scram.ScramLoginModule required;`
  const ofSasl = (mechanism: string) => `listener.name.sasl_ssl.${mechanism}.sasl.jaas.config`
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': files.own,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': files.trusted,
    'ssl.client.auth': 'required',
    // so that another certificate can be shown without a restart
    'ssl.allow.san.changes': 'true',
    'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+).*$/$1/,DEFAULT',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    [ofSasl('plain')]: `${login}.plain.PlainLoginModule required${users.join('')};`,
    [ofSasl('scram-sha-256')]: scram,
    [ofSasl('scram-sha-512')]: scram,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    // who comes by the plain listener, brokers and controllers included
    'super.users': 'User:ANONYMOUS',
  }
}
