import { randomUUID } from 'node:crypto'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { readSecurityDocument } from '../security-document.ts'
import { createTopics } from './kafka.ts'
import { type KafkaTools, openKafkaTools } from './kafka-tools.ts'
import {
  clientCertificate,
  login,
  plainPasswords,
  type SecuredKafka,
  startSecuredKafka,
} from './secured-kafka.ts'

type Mechanism = 'scram-sha-256' | 'scram-sha-512'

/** A secured Kafka whose administrator did what docs/security.md says. */
export type DocumentedKafka = SecuredKafka & {
  /** The password of `gateway` and `ledger`, the users who have one. */
  password: string
  /** Promise: the user logs in with it from now on. About 2 s. */
  setPassword(user: string, mechanism: Mechanism, password?: string): Promise<void>
  /** Promise: the user may write, by the command of the document. About 2 s. */
  letWrite(user: string): Promise<void>
  byCertificate(user: string): KafkaOptions
  byPlain(user: string, password?: string): KafkaOptions
  byScram(mechanism: Mechanism, user: string, password?: string): KafkaOptions
  /** Creates a topic of two partitions that no other test has. */
  freshTopic(prefix?: string): Promise<string>
}

/** Promise: it is ready, and all commands of the document have been run. */
export async function startDocumentedKafka(): Promise<DocumentedKafka> {
  await using stack = new AsyncDisposableStack()
  const on = stack.use(await startSecuredKafka())
  const tools = stack.use(await openKafkaTools([...on.admin.brokers]))
  const { commands } = await readSecurityDocument()
  const [where, ...followed] = commands
  if (!where?.startsWith('kafka=')) throw new Error('the first command must say where Kafka is')
  const password = 'scram-secret'
  const setPassword = (user: string, mechanism: Mechanism, given = password) =>
    runPasswordCommand(tools, user, mechanism, given)
  await Promise.all([
    tools.run(followed.join(''), { 'password.properties': `SCRAM-SHA-512=password=${password}` }),
    setPassword('ledger', 'scram-sha-512'),
    setPassword('gateway', 'scram-sha-256').then(() => setPassword('ledger', 'scram-sha-256')),
  ])
  const write = followed.find(command => command.includes('--operation Write'))!
  const parts = stack.move()
  return {
    ...on,
    password,
    setPassword,
    letWrite: async user => void (await tools.run(write.replace('User:gateway', `User:${user}`))),
    byCertificate: user => on.at('SSL', { tls: clientCertificate(on.authority.certify(user)) }),
    byPlain: (user, given = plainPasswords[user]!) =>
      on.at('SASL_SSL', login('plain', user, given)),
    byScram: (mechanism, user, given = password) =>
      on.at('SASL_SSL', login(mechanism, user, given)),
    async freshTopic(prefix = 'sluice.') {
      const topic = `${prefix}${randomUUID()}`
      await createTopics(on.admin, [{ topic, partitions: 2 }])
      return topic
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

async function runPasswordCommand(
  tools: KafkaTools,
  user: string,
  mechanism: Mechanism,
  password: string,
): Promise<void> {
  await tools.run(
    `kafka-configs.sh $kafka --alter --entity-type users --entity-name ${user} \
      --add-config '${mechanism.toUpperCase()}=[password=${password}]'`,
  )
}
