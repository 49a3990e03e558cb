import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
import { timestampTypeOf } from '../../setup/kafka/topic-settings.ts'
import { readSecurityDocument } from '../../setup/security-document.ts'

const { text: securityDocument, configurations } = await readSecurityDocument()
const foreign = createAuthority('Foreign')
const denied = 'this user may not use the topic'
const readDenied = /^this user may not (read|use the topic)/
const retrying = { timeout: 20_000, interval: 20 }
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
    ])('delivers with %s, and the records can be read back', async (_, as) => {
      const topic = await on.freshTopic()
      expect(await attempt(as('gateway'), topic)).toEqual([null, null])
      const found = textsIn(await readTopic(reach(as('ledger')), topic))
      expect(found).toEqual(expectedTexts(2, batchTo(topic).records))
    })

    const certificateRequired =
      /^127.*: the broker requires a client certificate that it trusts: see kafka\.tls/
    it.each<[string, () => KafkaOptions, string | RegExp]>([
      [
        'a wrong authority',
        () => on.at('SSL', { tls: { ca: createSecret(foreign.cert) } }),
        /^127.*: the broker's certificate is not signed by an authority in kafka\.tls\.caFile$/,
      ],
      ['no certificate', () => on.at('SSL', {}), certificateRequired],
      [
        'a foreign certificate',
        () => on.at('SSL', { tls: clientCertificate(foreign.certify('gateway')) }),
        certificateRequired,
      ],
      [
        'a key to another certificate',
        () => {
          const [{ cert }, { key }] = [on.authority.certify('a'), on.authority.certify('b')]
          return on.at('SSL', { tls: clientCertificate({ cert, key }) })
        },
        'kafka.tls.keyFile is not the key of kafka.tls.certFile',
      ],
      ['a wrong password', () => on.byScram('scram-sha-512', 'gateway', 'wrong'), wrongPassword],
      ['a wrong password in plain', () => on.byPlain('gateway', 'wrong'), wrongPassword],
      ['no password', () => on.at('SASL_SSL', {}), /^127.*: the broker closed .* kafka\.sasl$/],
      [
        'an unexpected password',
        () => ({ ...on.byCertificate('gateway'), sasl: on.byPlain('gateway').sasl }),
        'the broker expects no SASL log-in at this port: see kafka.sasl',
      ],
      ['no TLS', () => ({ ...on.at('SSL', {}), tls: null }), /the broker .* kafka\.tls( or|$)/],
      [
        'TLS at a port without TLS',
        () => ({ ...on.byCertificate('gateway'), brokers: on.admin.brokers }),
        /does not speak TLS: see the port in kafka\.brokers, and kafka\.tls$/,
      ],
    ])('reports %s in one line with the cure', async (_, options, line) => {
      const topic = await on.freshTopic()
      // The closed connection may be reported before its reason.
      const message = await vi.waitFor(async () => {
        const failure: unknown = await attempt(options(), topic).catch(error => error)
        expect(failure).toBeInstanceOf(SinkUnavailable)
        expect((failure as Error).message).toMatch(line)
        return (failure as Error).message
      }, retrying)
      expect(message).not.toContain('\n')
    })

    /** Delivers as the bridge does; `reasons` collects why the sink is unavailable. */
    const startDelivering = async (options: KafkaOptions, topic: string) => {
      const sink = await openKafkaSink(reach(options))
      const reasons: string[] = []
      const deliver = createDelivery({
        sink,
        signal: new AbortController().signal,
        circuit: createCircuitBreaker({ firstMs: 50, maxMs: 200, stableMs: 0 }),
        onUnavailable: reason => void reasons.push(reason),
      })
      const delivered = deliver(batchTo(topic)).finally(() => sink[Symbol.asyncDispose]())
      return { reasons, delivered }
    }
    const untilReported = (reasons: string[], line: string) =>
      vi.waitFor(() => expect(reasons.at(-1)).toContain(line), retrying)

    it('continues by itself when the password is set in Kafka', async () => {
      const options = on.byScram('scram-sha-256', 'gateway', 'renewed')
      const { reasons, delivered } = await startDelivering(options, await on.freshTopic())
      await untilReported(reasons, 'wrong user name or password')
      onTestFinished(() => on.setPassword('gateway', 'scram-sha-256'))
      await on.setPassword('gateway', 'scram-sha-256', 'renewed')
      expect(await delivered).toEqual([null, null])
    })

    it('continues by itself when the right is granted', async () => {
      const user = `newcomer-${client}`
      const { reasons, delivered } = await startDelivering(
        on.byCertificate(user),
        await on.freshTopic(),
      )
      await untilReported(reasons, 'docs/security.md')
      await on.letWrite(user)
      expect(await delivered).toEqual([null, null])
    })

    it('continues by itself when the broker has a valid certificate', {
      timeout: 60_000,
    }, async () => {
      const show = (options: Parameters<typeof on.authority.certify>[1]) =>
        on.replaceCertificate(on.authority.certify('broker', options))
      onTestFinished(() => show({ hosts: brokerHosts }))
      await show({ hosts: brokerHosts, expired: true })
      const options = on.byCertificate('gateway')
      const { reasons, delivered } = await startDelivering(options, await on.freshTopic())
      await untilReported(reasons, `${options.brokers[0]}: the broker's certificate has expired`)
      await show({ hosts: ['elsewhere'] })
      await untilReported(reasons, "the broker's certificate is for another host")
      await show({ hosts: brokerHosts })
      expect(await delivered).toEqual([null, null])
    })

    describe('the rights in docs/security.md', () => {
      const open = async (user: string) => await createKafkaClient(reach(on.byCertificate(user)))
      const exists = async (topic: string) => {
        const { stream } = await createKafkaClient(on.admin)
        return (await stream.topicOffsets([topic])).has(topic)
      }

      it('allow the bridge to write and to read the retention of its topics', async () => {
        const topic = await on.freshTopic()
        expect(await attempt(on.byCertificate('gateway'), topic)).toEqual([null, null])
        expect(await (await open('gateway')).topics.partitionsOf(topic)).toBe(2)
        expect(await timestampTypeOf(on.byScram('scram-sha-512', 'gateway'), topic)).toBe(
          'LogAppendTime',
        )
      })

      it('allow the bridge nothing else', async () => {
        const [ours, foreign] = [await on.freshTopic(), await on.freshTopic('foreign.')]
        const created = `sluice.${randomUUID()}`
        const { stream, topics } = await open('gateway')
        expect(await attempt(on.byCertificate('gateway'), ours)).toEqual([null, null])
        const attempts = {
          'write elsewhere': attempt(on.byCertificate('gateway'), foreign),
          'ask elsewhere': topics.partitionsOf(foreign),
          'ask for settings elsewhere': timestampTypeOf(
            on.byScram('scram-sha-512', 'gateway'),
            foreign,
          ),
          create: topics.create([{ topic: created, partitions: 1 }]),
          read: stream.readBetween(ours, new Map(), new Map([[0, 1]]), () => {}),
        }
        expect(await outcomesOf(attempts)).toEqual({
          'write elsewhere': expect.stringContaining(denied),
          'ask elsewhere': expect.stringContaining(denied),
          'ask for settings elsewhere': expect.stringContaining(denied),
          create: expect.stringContaining(denied),
          read: expect.stringMatching(readDenied),
        })
        expect(await exists(created)).toBe(false)
      })

      it('allow a reader to read, and nothing else', async () => {
        const [ours, foreign] = [await on.freshTopic(), await on.freshTopic('foreign.')]
        const { stream, topics } = await open('ledger')
        await attempt(on.byCertificate('gateway'), ours)
        const read = await readTopic(reach(on.byCertificate('ledger')), ours)
        expect(textsIn(read)).toEqual(expectedTexts(2, batchTo(ours).records))
        expect([...(await stream.topicOffsets([ours, foreign])).keys()]).toEqual([ours])
        const attempts = {
          write: attempt(on.byCertificate('ledger'), ours),
          'read elsewhere': stream.readBetween(foreign, new Map(), new Map([[0, 1]]), () => {}),
          create: topics.create([{ topic: `sluice.${randomUUID()}`, partitions: 1 }]),
        }
        expect(await outcomesOf(attempts)).toEqual({
          write: expect.stringContaining('this user has no right to do this on the cluster'),
          'read elsewhere': expect.stringContaining(denied),
          create: expect.stringContaining(denied),
        })
      })

      it('allow only a reader to join consumer groups named sluice-', async () => {
        const topics = [await on.freshTopic()]
        await attempt(on.byCertificate('gateway'), topics[0]!)
        const joined = async (user: string, groupId: string) =>
          startMember((await open(user)).group, { groupId, topics })
        await using reader = await joined('ledger', `sluice-${randomUUID()}`)
        await until(() => expect(reader.processed).toHaveLength(2))
        // Both users may not use the group. kafkajs reports that as an unavailable broker.
        for (const [user, prefix] of Object.entries({ ledger: 'foreign', gateway: 'sluice' })) {
          await using member = await joined(user, `${prefix}-${randomUUID()}`)
          const ended = member.ended.catch(({ message }: Error) => member.unavailable.push(message))
          await Promise.race([ended, until(() => expect(member.unavailable).not.toEqual([]))])
          expect(member.unavailable[0]).toMatch(readDenied)
        }
      })

      it('allow a topic administrator to create sluice topics, and nothing else', async () => {
        const [ours, foreign] = [`sluice.${randomUUID()}`, `foreign.${randomUUID()}`]
        const { stream, topics } = await open('topics')
        await topics.create([{ topic: ours, partitions: 2 }])
        expect(await topics.partitionsOf(ours)).toBe(2)
        expect(await timestampTypeOf(on.admin, ours)).toBe('LogAppendTime')
        const attempts = {
          'create elsewhere': topics.create([{ topic: foreign, partitions: 1 }]),
          write: attempt(on.byCertificate('topics'), ours),
          read: stream.readBetween(ours, new Map(), new Map([[0, 1]]), () => {}),
        }
        expect(await outcomesOf(attempts)).toEqual({
          'create elsewhere': expect.stringContaining(denied),
          write: expect.stringContaining('this user has no right to do this on the cluster'),
          read: expect.stringMatching(readDenied),
        })
        expect(await exists(foreign)).toBe(false)
      })
    })
  })

  it.each(configurations)('is reached with the configurations in docs/security.md', async text => {
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
    const hasCredentials = /sasl:|certFile:/.test(text)
    if (hasCredentials) expect(await sending).toEqual([null, null])
    else await expect(sending).rejects.toThrow(/kafka\.tls/)
  })

  it('has each reason that the bridge may report in docs/security.md', () => {
    for (const [, reason] of ERROR_REASONS) expect(securityDocument).toContain(reason)
  })
})

/** The error of each attempt, or 'done'. */
async function outcomesOf(attempts: Record<string, Promise<unknown>>) {
  const outcome = (work: Promise<unknown>) => work.then(() => 'done', describeError)
  const all = Object.entries(attempts).map(async ([name, work]) => [name, await outcome(work)])
  return Object.fromEntries(await Promise.all(all))
}
