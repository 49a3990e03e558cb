import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createDelivery } from '../../../cloud-bridge/forward/forwarder.ts'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { ERROR_REASONS } from '../../../cloud-bridge/kafka/error-reasons.ts'
import { describeError } from '../../../cloud-bridge/kafka/errors.ts'
import { SinkUnavailable } from '../../../cloud-bridge/ports/event-sink.ts'
import { createCircuitBreaker } from '../../../cloud-bridge/retry/circuit-breaker.ts'
import { loadConfig } from '../../../config/config.ts'
import { createSecret } from '../../../config/loading/secrets.ts'
import { expectedTexts, record, textsIn } from '../../contracts/event-sink.ts'
import { startMember, until } from '../../contracts/group-member.ts'
import { createAuthority } from '../../setup/certificates.ts'
import { type DocumentedKafka, startDocumentedKafka } from '../../setup/kafka/documented-kafka.ts'
import { clients, describeWithKafka, openKafkaSink, readTopic } from '../../setup/kafka/kafka.ts'
import { brokerHosts, clientCertificate } from '../../setup/kafka/secured-kafka.ts'
import { readSecurityDocument } from '../../setup/security-document.ts'

const document = await readSecurityDocument()
const foreign = createAuthority('Foreign')
const refused = 'this user may not use the topic'
const mayNotRead = /^this user may not (read|use the topic)/
const soon = { timeout: 20_000, interval: 20 }
const wrongPassword = 'wrong user name or password: see kafka.sasl.username and passwordFile'

describeWithKafka('a secured Kafka', () => {
  let on: DocumentedKafka
  beforeAll(async () => {
    on = await startDocumentedKafka()
  })
  afterAll(() => on?.[Symbol.asyncDispose]())

  const batchTo = (topic: string) => ({ topic, records: [record(0, 'a'), record(1, 'b')] })

  describe.each(clients)('through %s', client => {
    const reach = (options: KafkaOptions): KafkaOptions => ({ ...options, client })
    const attempt = async (options: KafkaOptions, topic: string) => {
      await using sink = await openKafkaSink(reach(options))
      return await sink.send(batchTo(topic))
    }

    it.each<[string, (user: string) => KafkaOptions]>([
      ['a certificate', user => on.byCertificate(user)],
      ['PLAIN', user => on.byPlain(user)],
      ['SCRAM-SHA-256', user => on.byScram('scram-sha-256', user)],
      ['SCRAM-SHA-512', user => on.byScram('scram-sha-512', user)],
    ])('delivers to who shows %s, and is read back', async (_, as) => {
      const topic = await on.freshTopic()
      expect(await attempt(as('gateway'), topic)).toEqual([null, null])
      const found = textsIn(await readTopic(reach(as('ledger')), topic))
      expect(found).toEqual(expectedTexts(2, batchTo(topic).records))
    })

    const askedFor = /^127.*: the broker asks for a certificate that it trusts: see kafka\.tls/
    it.each<[string, () => KafkaOptions, string | RegExp]>([
      [
        'an authority that did not sign',
        () => on.at('SSL', { tls: { ca: createSecret(foreign.cert) } }),
        /^127\.0\.0\.1:\d+: the broker's certificate is signed by nobody in kafka\.tls\.caFile$/,
      ],
      ['no certificate', () => on.at('SSL', {}), askedFor],
      [
        'a foreign certificate',
        () => on.at('SSL', { tls: clientCertificate(foreign.certify('gateway')) }),
        askedFor,
      ],
      [
        'a key to another certificate',
        () => {
          const [{ cert }, { key }] = [on.authority.certify('one'), on.authority.certify('other')]
          return on.at('SSL', { tls: clientCertificate({ cert, key }) })
        },
        'kafka.tls.keyFile is not the key to kafka.tls.certFile',
      ],
      ['a wrong password', () => on.byScram('scram-sha-512', 'gateway', 'wrong'), wrongPassword],
      ['a wrong password in plain', () => on.byPlain('gateway', 'wrong'), wrongPassword],
      ['no password', () => on.at('SASL_SSL', {}), /^127.*: the broker closed .* kafka\.sasl$/],
      [
        'a password that nobody asks for',
        () => ({ ...on.byCertificate('gateway'), sasl: on.byPlain('gateway').sasl }),
        'the broker asks for no password at this port: see kafka.sasl',
      ],
      ['no TLS', () => ({ ...on.at('SSL', {}), tls: null }), /the broker .* kafka\.tls( or|$)/],
      [
        'TLS where there is none',
        () => ({ ...on.byCertificate('gateway'), brokers: on.admin.brokers }),
        /does not speak TLS: see the port in kafka\.brokers, and kafka\.tls$/,
      ],
    ])('says in one line what %s means', async (_, options, line) => {
      const topic = await on.freshTopic()
      // What closes a connection may be there before what says why.
      const said = await vi.waitFor(async () => {
        const failure: unknown = await attempt(options(), topic).catch(error => error)
        expect(failure).toBeInstanceOf(SinkUnavailable)
        expect((failure as Error).message).toMatch(line)
        return (failure as Error).message
      }, soon)
      expect(said).not.toContain('\n')
    })

    /** Delivers as the bridge does: what it says meanwhile is in `said`. */
    const startDelivering = async (options: KafkaOptions, topic: string) => {
      const sink = await openKafkaSink(reach(options))
      const said: string[] = []
      const deliver = createDelivery({
        sink,
        signal: new AbortController().signal,
        circuit: createCircuitBreaker({ firstMs: 50, maxMs: 200, stableMs: 0 }),
        onUnavailable: reason => void said.push(reason),
      })
      const delivered = deliver(batchTo(topic)).finally(() => sink[Symbol.asyncDispose]())
      return { said, delivered }
    }
    const untilSaid = (said: string[], line: string) =>
      vi.waitFor(() => expect(said.at(-1)).toContain(line), soon)

    it('goes on by itself when the password is set in Kafka', async () => {
      const options = on.byScram('scram-sha-256', 'gateway', 'renewed')
      const { said, delivered } = await startDelivering(options, await on.freshTopic())
      await untilSaid(said, 'wrong user name or password')
      onTestFinished(() => on.setPassword('gateway', 'scram-sha-256'))
      await on.setPassword('gateway', 'scram-sha-256', 'renewed')
      expect(await delivered).toEqual([null, null])
    })

    it('goes on by itself when the right is given', async () => {
      const user = `newcomer-${client}`
      const { said, delivered } = await startDelivering(
        on.byCertificate(user),
        await on.freshTopic(),
      )
      await untilSaid(said, 'docs/security.md')
      await on.letWrite(user)
      expect(await delivered).toEqual([null, null])
    })

    it('goes on by itself when the broker shows a good certificate', {
      timeout: 60_000,
    }, async () => {
      const show = (options: Parameters<typeof on.authority.certify>[1]) =>
        on.show(on.authority.certify('broker', options))
      onTestFinished(() => show({ hosts: brokerHosts }))
      await show({ hosts: brokerHosts, expired: true })
      const options = on.byCertificate('gateway')
      const { said, delivered } = await startDelivering(options, await on.freshTopic())
      await untilSaid(said, `${options.brokers[0]}: the broker's certificate has expired`)
      await show({ hosts: ['elsewhere'] })
      await untilSaid(said, "the broker's certificate is for another host")
      await show({ hosts: brokerHosts })
      expect(await delivered).toEqual([null, null])
    })

    describe('the rights of the document', () => {
      const open = async (user: string) => await createKafkaClient(reach(on.byCertificate(user)))
      const exists = async (topic: string) => {
        const { stream } = await createKafkaClient(on.admin)
        return (await stream.topicOffsets([topic])).has(topic)
      }

      it('let the bridge write, and ask how long its topics keep what they get', async () => {
        const topic = await on.freshTopic()
        expect(await attempt(on.byCertificate('gateway'), topic)).toEqual([null, null])
        expect(await (await open('gateway')).topics.partitionsOf(topic)).toBe(2)
        expect(await settingOf(on.byScram('scram-sha-512', 'gateway'), topic)).toBe('LogAppendTime')
      })

      it('let it do nothing else', async () => {
        const [ours, foreign] = [await on.freshTopic(), await on.freshTopic('foreign.')]
        const made = `sluice.${randomUUID()}`
        const { stream, topics } = await open('gateway')
        expect(await attempt(on.byCertificate('gateway'), ours)).toEqual([null, null])
        const tried = {
          'write elsewhere': attempt(on.byCertificate('gateway'), foreign),
          'ask elsewhere': topics.partitionsOf(foreign),
          'ask for settings elsewhere': settingOf(on.byScram('scram-sha-512', 'gateway'), foreign),
          create: topics.create([{ topic: made, partitions: 1 }]),
          read: stream.readBetween(ours, new Map(), new Map([[0, 1]]), () => {}),
        }
        expect(await outcomesOf(tried)).toEqual({
          'write elsewhere': expect.stringContaining(refused),
          'ask elsewhere': expect.stringContaining(refused),
          'ask for settings elsewhere': expect.stringContaining(refused),
          create: expect.stringContaining(refused),
          read: expect.stringMatching(mayNotRead),
        })
        expect(await exists(made)).toBe(false)
      })

      it('let who reads read, and nothing else', async () => {
        const [ours, foreign] = [await on.freshTopic(), await on.freshTopic('foreign.')]
        const { stream, topics } = await open('ledger')
        await attempt(on.byCertificate('gateway'), ours)
        const read = await readTopic(reach(on.byCertificate('ledger')), ours)
        expect(textsIn(read)).toEqual(expectedTexts(2, batchTo(ours).records))
        expect([...(await stream.topicOffsets([ours, foreign])).keys()]).toEqual([ours])
        const tried = {
          write: attempt(on.byCertificate('ledger'), ours),
          'read elsewhere': stream.readBetween(foreign, new Map(), new Map([[0, 1]]), () => {}),
          create: topics.create([{ topic: `sluice.${randomUUID()}`, partitions: 1 }]),
        }
        expect(await outcomesOf(tried)).toEqual({
          write: expect.stringContaining('this user may do nothing like this here'),
          'read elsewhere': expect.stringContaining(refused),
          create: expect.stringContaining(refused),
        })
      })

      it('let who reads be a member of our groups, and nobody else', async () => {
        const topics = [await on.freshTopic()]
        await attempt(on.byCertificate('gateway'), topics[0]!)
        const joined = async (user: string, groupId: string) =>
          startMember((await open(user)).group, { groupId, topics })
        await using reader = await joined('ledger', `sluice-${randomUUID()}`)
        await until(() => expect(reader.processed).toHaveLength(2))
        // Both are refused the group. kafkajs takes that for a broker that is away, and tells.
        for (const [user, prefix] of Object.entries({ ledger: 'foreign', gateway: 'sluice' })) {
          await using member = await joined(user, `${prefix}-${randomUUID()}`)
          const ended = member.ended.catch(({ message }: Error) => member.unavailable.push(message))
          await Promise.race([ended, until(() => expect(member.unavailable).not.toEqual([]))])
          expect(member.unavailable[0]).toMatch(mayNotRead)
        }
      })

      it('let who creates topics create ours, and nothing else', async () => {
        const [made, foreign] = [`sluice.${randomUUID()}`, `foreign.${randomUUID()}`]
        const { stream, topics } = await open('topics')
        await topics.create([{ topic: made, partitions: 2 }])
        expect(await topics.partitionsOf(made)).toBe(2)
        expect(await settingOf(on.admin, made)).toBe('LogAppendTime')
        const tried = {
          'create elsewhere': topics.create([{ topic: foreign, partitions: 1 }]),
          write: attempt(on.byCertificate('topics'), made),
          read: stream.readBetween(made, new Map(), new Map([[0, 1]]), () => {}),
        }
        expect(await outcomesOf(tried)).toEqual({
          'create elsewhere': expect.stringContaining(refused),
          write: expect.stringContaining('this user may do nothing like this here'),
          read: expect.stringMatching(mayNotRead),
        })
        expect(await exists(foreign)).toBe(false)
      })
    })
  })

  it.each(document.configurations)('is reached as the document says', async text => {
    await using stack = new AsyncDisposableStack()
    const dir = await mkdtemp(join(tmpdir(), 'sluice-test-secrets-'))
    stack.defer(() => rm(dir, { recursive: true, force: true }))
    const certificate = on.authority.certify('gateway')
    const [at] = on.at(text.includes('sasl:') ? 'SASL_SSL' : 'SSL', {}).brokers
    const files = {
      'kafka-ca.pem': on.authority.cert,
      'gateway.pem': certificate.cert,
      'gateway.key': certificate.key,
      'kafka-password': `${on.password}\n`,
      'sluice.yaml': text.replace(/\[kafka-1.*\]/, `[${at}]`).replaceAll('secrets/', `${dir}/`),
    }
    for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content)
    const loaded = loadConfig({ file: join(dir, 'sluice.yaml'), env: {} })
    if ('faults' in loaded) throw new Error(JSON.stringify(loaded.faults))
    const sink = stack.use(await openKafkaSink(loaded.config.kafka))
    const sending = sink.send(batchTo(await on.freshTopic()))
    const asksWho = /sasl:|certFile:/.test(text)
    if (asksWho) expect(await sending).toEqual([null, null])
    else await expect(sending).rejects.toThrow(/kafka\.tls/)
  })

  it('has a document that tells each line the bridge may say', () => {
    for (const [, reason] of ERROR_REASONS) expect(document.text).toContain(reason)
  })
})

/** What is said of each thing that was tried; 'done' where nothing kept anybody from it. */
async function outcomesOf(tried: Record<string, Promise<unknown>>) {
  const outcome = (work: Promise<unknown>) => work.then(() => 'done', describeError)
  const all = Object.entries(tried).map(async ([what, work]) => [what, await outcome(work)])
  return Object.fromEntries(await Promise.all(all))
}

/** What a topic has for the timestamp of its records, asked as who is given. */
async function settingOf({ brokers, sasl, tls }: KafkaOptions, topic: string) {
  const { password: word, ...rest } = sasl ?? { password: createSecret('') }
  const admin = new Kafka({
    ...{ brokers: [...brokers], logLevel: logLevel.NOTHING },
    ...(tls && { ssl: { ca: tls.ca.reveal() } }),
    ...(sasl && { sasl: { ...rest, password: word.reveal() } as never }),
  }).admin()
  await admin.connect()
  // 2 is Kafka's number for a topic.
  const asked = { type: 2, name: topic, configNames: ['message.timestamp.type'] }
  const { resources } = await admin
    .describeConfigs({ includeSynonyms: false, resources: [asked] })
    .finally(() => admin.disconnect())
  return resources[0]!.configEntries[0]!.configValue
}
