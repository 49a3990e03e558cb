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

/** A secured Kafka, set up by the commands in docs/security.md. */
export type DocumentedKafka = SecuredKafka & {
  /** The SCRAM password of the users `gateway` and `ledger`. */
  password: string
  /** Sets the user's SCRAM password. About 2 s. */
  setPassword(user: string, mechanism: Mechanism, password?: string): Promise<void>
  /** Grants the user the right to write, by the command in docs/security.md. About 2 s. */
  letWrite(user: string): Promise<void>
  byCertificate(user: string): KafkaOptions
  byPlain(user: string, password?: string): KafkaOptions
  byScram(mechanism: Mechanism, user: string, password?: string): KafkaOptions
  /** Creates a topic of two partitions with a new name. */
  freshTopic(prefix?: string): Promise<string>
}

/** Starts a secured Kafka and runs all commands in docs/security.md. */
export async function startDocumentedKafka(): Promise<DocumentedKafka> {
  await using stack = new AsyncDisposableStack()
  const kafka = stack.use(await startSecuredKafka())
  const tools = stack.use(await openKafkaTools([...kafka.admin.brokers]))
  const { commands } = await readSecurityDocument()
  const [kafkaVariable, ...otherCommands] = commands
  if (!kafkaVariable?.startsWith('kafka='))
    throw new Error('docs/security.md: the first command must set $kafka')
  const password = 'scram-secret'
  const setPassword = (user: string, mechanism: Mechanism, secret = password) =>
    runPasswordCommand(tools, user, mechanism, secret)
  await Promise.all([
    tools.run(otherCommands.join(''), {
      'password.properties': `SCRAM-SHA-512=password=${password}`,
    }),
    setPassword('ledger', 'scram-sha-512'),
    setPassword('gateway', 'scram-sha-256').then(() => setPassword('ledger', 'scram-sha-256')),
  ])
  const write = otherCommands.find(command => command.includes('--operation Write'))!
  const resources = stack.move()
  return {
    ...kafka,
    password,
    setPassword,
    letWrite: async user => void (await tools.run(write.replace('User:gateway', `User:${user}`))),
    byCertificate: user =>
      kafka.at('SSL', { tls: clientCertificate(kafka.authority.certify(user)) }),
    byPlain: (user, secret = plainPasswords[user]!) =>
      kafka.at('SASL_SSL', login('plain', user, secret)),
    byScram: (mechanism, user, secret = password) =>
      kafka.at('SASL_SSL', login(mechanism, user, secret)),
    async freshTopic(prefix = 'sluice.') {
      const topic = `${prefix}${randomUUID()}`
      await createTopics(kafka.admin, [{ topic, partitions: 2 }])
      return topic
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
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
