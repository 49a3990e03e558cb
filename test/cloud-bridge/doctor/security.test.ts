import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  ResourcePatternTypes,
} from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runChecks } from '../../../cloud-bridge/doctor/check-runner.ts'
import { createChecks } from '../../../cloud-bridge/doctor/checks.ts'
import { findingLine } from '../../../cloud-bridge/doctor/finding.ts'
import { createMissingTopics } from '../../../cloud-bridge/doctor/topic-creation.ts'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { defaults } from '../../../config/config.ts'
import { createSecret } from '../../../config/loading/secrets.ts'
import { createAuthority } from '../../setup/certificates.ts'
import { clients, describeWithKafka } from '../../setup/kafka/kafka.ts'
import {
  brokerHosts,
  login,
  plainPasswords,
  type SecuredKafka,
  startSecuredKafka,
} from '../../setup/kafka/secured-kafka.ts'
import { freshTopics } from '../forward/running-bridge.ts'

describeWithKafka('the doctor and a secured Kafka', () => {
  let on: SecuredKafka
  beforeAll(async () => {
    on = await startSecuredKafka()
  })
  afterAll(() => on?.[Symbol.asyncDispose]())

  const as = (user: string, password = plainPasswords[user]!) =>
    on.at('SASL_SSL', login('plain', user, password))
  const found = async (kafka: KafkaOptions, topics = freshTopics()) => {
    // Not the stores of the user who runs this test.
    const outbox = { ...defaults.outbox, file: 'nowhere/outbox.db' }
    const inbox = { ...defaults.inbox, file: 'nowhere/inbox.db' }
    const config = { ...defaults, outbox, inbox, kafka: { ...defaults.kafka, ...kafka, topics } }
    const findings = await runChecks(createChecks(config), { findings: () => {}, slow: () => {} })
    return findings.map(findingLine)
  }
  const aboutBroker = (lines: string[]) => lines.filter(line => line.includes(' broker '))

  describe.each(clients)('through %s', client => {
    it.each<[string, () => KafkaOptions, RegExp]>([
      [
        'a wrong authority',
        () => ({
          ...as('gateway'),
          tls: { ca: createSecret(createAuthority('Foreign').cert) } as KafkaOptions['tls'],
        }),
        /^FAULT .*: the broker's certificate is not signed by an authority in kafka\.tls\.caFile\./,
      ],
      [
        'a wrong password',
        () => as('gateway', 'wrong'),
        /^FAULT {2}broker .*: wrong user name or password\. See kafka\.sasl\.username and pass/,
      ],
      ['no TLS', () => ({ ...as('gateway'), tls: null }), /^FAULT {2}broker .*kafka\.tls/],
    ])('reports %s in one line', async (_, options, line) => {
      const lines = await found({ ...options(), client })
      expect(aboutBroker(lines)).toEqual([
        expect.stringMatching(line),
        expect.stringMatching(/^warn {3}topics: not checked/),
      ])
    })
  })

  it.each<[string, { hosts: string[]; expired?: boolean }, RegExp]>([
    ['has expired', { hosts: brokerHosts, expired: true }, /has expired\. Renew it there/],
    [
      'is for another host',
      { hosts: ['elsewhere'] },
      /is for another host\. In kafka\.brokers and/,
    ],
  ])('reports a broker certificate that %s, until it is replaced', async (_, how, line) => {
    // The broker's threads replace the certificate one after the other.
    const untilFound = (expected: RegExp) =>
      vi.waitFor(async () => expect(aboutBroker(await found(as('gateway')))[0]).toMatch(expected), {
        ...{ timeout: 15_000, interval: 100 },
      })
    await on.replaceCertificate(on.authority.certify('broker', how))
    await untilFound(line)
    await on.replaceCertificate(on.authority.certify('broker', { hosts: brokerHosts }))
    await untilFound(/^ok /)
  })

  it('reports missing rights, without writing', async () => {
    const topics = freshTopics()
    const { topics: admin } = await createKafkaClient(on.admin)
    await createMissingTopics(admin, { topics, partitions: 1 })
    const about = async () =>
      (await found(as('gateway'), topics)).filter(line => / topic | right to /.test(line))
    expect(await about()).toEqual([
      expect.stringMatching(/^FAULT {2}topic .*this user may not use/),
    ])
    await allow(on.admin, 'DESCRIBE', topics)
    const denied = (await about()).filter(line => line.startsWith('FAULT'))
    expect(denied).toHaveLength(4)
    expect(denied[0]).toMatch(/right to write to .*: not granted\. kafka-acls\.sh .*Write/)
    await allow(on.admin, 'WRITE', topics)
    const written = await about()
    expect(written.at(-1)).toMatch(/^ok {5}right to write: granted/)
    expect(
      written.filter(line => line.includes('cannot be read. Grant DescribeConfigs')),
    ).toHaveLength(1)
    expect(written.filter(line => line.startsWith('FAULT'))).toEqual([])
    await allow(on.admin, 'DESCRIBE_CONFIGS', topics)
    expect((await about()).join()).not.toContain('cannot be read')
  })

  it('reports that a user may not create topics', async () => {
    const { topics: admin } = await createKafkaClient(as('ledger'))
    const topics = freshTopics()
    const lines = (await createMissingTopics(admin, { topics, partitions: 1 })).map(findingLine)
    expect(lines).toHaveLength(4)
    for (const line of lines)
      expect(line).toMatch(/^FAULT {2}topic .*: not created, this user may not/)
  })
})

async function allow(
  options: KafkaOptions,
  operation: 'WRITE' | 'DESCRIBE' | 'DESCRIBE_CONFIGS',
  topics: object,
): Promise<void> {
  const admin = createKafkajs(options).admin()
  const acl = Object.values(topics).map(resourceName => ({
    ...{ resourceName, principal: 'User:gateway', host: '*' },
    resourceType: AclResourceTypes.TOPIC,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    operation: AclOperationTypes[operation],
    permissionType: AclPermissionTypes.ALLOW,
  }))
  await admin.connect()
  await admin.createAcls({ acl }).finally(() => admin.disconnect())
}
