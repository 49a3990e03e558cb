import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { openKafka } from '../../../cloud-bridge/kafka/kafka.ts'
import { secret } from '../../../config/secrets.ts'
import { expectedTexts, record, textsIn } from '../../contracts/event-sink.ts'
import { createAuthority } from '../../setup/certificates.ts'
import { createTopics, describeWithKafka, openSink, readTopic } from '../../setup/kafka.ts'
import { type KafkaTools, openKafkaTools } from '../../setup/kafka-tools.ts'
import {
  brokerHosts,
  login,
  plainPasswords,
  presented,
  type SecuredKafka,
  startSecuredKafka,
} from '../../setup/secured-kafka.ts'
import { readSecurityDocument } from '../../setup/security-document.ts'

const password = 'scram-secret'
const clients = ['kafkajs'] as const

describeWithKafka('a secured Kafka', () => {
  let on: SecuredKafka
  let tools: KafkaTools
  const stack = new AsyncDisposableStack()

  /** As an administrator who follows the document. */
  beforeAll(async () => {
    on = stack.use(await startSecuredKafka())
    tools = stack.use(await openKafkaTools(on.admin.brokers.slice()))
    const { commands } = await readSecurityDocument()
    const [where, ...followed] = commands
    expect(where).toMatch(/^kafka=/)
    await Promise.all([
      tools.run(followed.join(''), {
        'password.properties': `SCRAM-SHA-512=password=${password}`,
      }),
      setPassword('ledger', 'SCRAM-SHA-512'),
      setPassword('gateway', 'SCRAM-SHA-256').then(() => setPassword('ledger', 'SCRAM-SHA-256')),
    ])
  })
  afterAll(() => stack.disposeAsync())

  const setPassword = (user: string, mechanism: string, word = password) =>
    tools.run(
      `kafka-configs.sh $kafka --alter --entity-type users --entity-name ${user} \
        --add-config '${mechanism}=[password=${word}]'`,
    )
  const freshTopic = async (prefix = 'sluice.') => {
    const topic = `${prefix}${randomUUID()}`
    await createTopics(on.admin, [{ topic, partitions: 2 }])
    return topic
  }
  const batchTo = (topic: string, text = 'a') => ({
    topic,
    records: [record(0, text), record(1, `${text} too`)],
  })

  const byCertificate = (user: string) =>
    on.at('SSL', { tls: presented(on.authority.certify(user)) })
  const byScram = (user: string, word = password) =>
    on.at('SASL_SSL', login('scram-sha-512', user, word))

  describe.each(clients)('through %s', client => {
    const reach = (options: KafkaOptions): KafkaOptions => ({ ...options, client })
    const attempt = async (options: KafkaOptions, topic: string) => {
      await using sink = await openSink(reach(options))
      return await sink.send(batchTo(topic))
    }

    it.each<[string, (user: string) => KafkaOptions]>([
      ['a certificate', byCertificate],
      ['PLAIN', user => on.at('SASL_SSL', login('plain', user, plainPasswords[user]!))],
      ['SCRAM-SHA-256', user => on.at('SASL_SSL', login('scram-sha-256', user, password))],
      ['SCRAM-SHA-512', byScram],
    ])('delivers to who shows %s, and is read back', async (_, as) => {
      const topic = await freshTopic()
      expect(await attempt(as('gateway'), topic)).toEqual([null, null])
      const found = textsIn(await readTopic(reach(as('ledger')), topic))
      expect(found).toEqual(expectedTexts(2, batchTo(topic).records))
    })

    it.each<[string, () => KafkaOptions, string | RegExp]>([
      [
        'an authority that did not sign',
        () => on.at('SSL', { tls: { ca: secret(createAuthority('Foreign').cert) } }),
        /^127\.0\.0\.1:\d+: the broker's certificate is signed by nobody in kafka\.tls\.caFile$/,
      ],
      ['no certificate', () => on.at('SSL', {}), /kafka\.tls/],
      [
        'a foreign certificate',
        () => on.at('SSL', { tls: presented(createAuthority('Foreign').certify('gateway')) }),
        /kafka\.tls/,
      ],
      [
        'a wrong password',
        () => byScram('gateway', 'wrong'),
        'wrong user name or password: see kafka.sasl.username and passwordFile',
      ],
      [
        'a wrong password in plain',
        () => on.at('SASL_SSL', login('plain', 'gateway', 'wrong')),
        'wrong user name or password: see kafka.sasl.username and passwordFile',
      ],
      ['no password', () => on.at('SASL_SSL', {}), /kafka\.sasl/],
      [
        'a password that nobody asks for',
        () => ({ ...byCertificate('gateway'), ...login('plain', 'gateway', 'any') }),
        'the broker asks for no password at this port: see kafka.sasl',
      ],
      ['no TLS', () => ({ ...on.at('SSL', {}), tls: null }), /kafka\.tls/],
      [
        'TLS where there is none',
        () => ({ ...byCertificate('gateway'), brokers: on.admin.brokers }),
        /does not speak TLS: see the port in kafka\.brokers, and kafka\.tls$/,
      ],
    ])('says in one line what %s means', async (_, options, line) => {
      const topic = await freshTopic()
      const said = await attempt(options(), topic).catch((error: Error) => error.message)
      expect(said).toMatch(line)
      expect(said).not.toContain('\n')
    })
  })
})
