import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ALERTS_TOPIC, effectTopicsOf } from '../../../cloud-bridge/consumers/effect-topics.ts'
import { runChecks } from '../../../cloud-bridge/doctor/check-runner.ts'
import { createChecks } from '../../../cloud-bridge/doctor/checks.ts'
import { type Finding, findingLine } from '../../../cloud-bridge/doctor/finding.ts'
import { createMissingTopics } from '../../../cloud-bridge/doctor/topic-creation.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { defaults, describeFaults, loadConfig } from '../../../config/config.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { createForeignTopic } from '../../setup/kafka/foreign-topics.ts'
import { describeWithKafka, partitionsOf, sharedKafka } from '../../setup/kafka/kafka.ts'
import { freshTopics, type Topics } from '../forward/running-bridge.ts'
import { reading } from '../readings.ts'

const main = fileURLToPath(new URL('../../../cloud-bridge/doctor/main.ts', import.meta.url))

let dir: string
let topics: Topics
let brokers: string[]
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-doctor-'))
  topics = freshTopics()
  brokers = []
})
afterEach(() => rm(dir, { recursive: true, force: true }))

/** Writes a configuration file with these kafka settings. The text is JSON, which is valid YAML. */
async function configured(kafka: object): Promise<string> {
  const free = async () => ({ port: await findFreePort() })
  const config = {
    gateway: { mqtt: await free(), http: await free() },
    bridge: { http: await free() },
    outbox: { file: join(dir, 'outbox.db') },
    inbox: { file: join(dir, 'inbox.db') },
    kafka: { brokers, topics, ...kafka },
  }
  const file = join(dir, 'sluice.yaml')
  await writeFile(file, JSON.stringify(config))
  return file
}

/** The doctor's findings with this configuration. */
async function found(kafka: object = {}): Promise<Finding[]> {
  const loaded = loadConfig({ file: await configured(kafka), env: {} })
  if ('faults' in loaded) throw new Error(describeFaults(loaded.faults))
  return runChecks(createChecks(loaded.config), { findings: () => {}, slow: () => {} })
}

/** The command's output and exit code. */
async function run(kafka: object, ...args: string[]) {
  const argv = [main, '--config', await configured(kafka), ...args]
  return await new Promise<{ code: number; lines: string[] }>(resolve => {
    execFile(process.execPath, argv, (error, stdout) => {
      resolve({ code: Number(error?.code ?? 0), lines: stdout.trimEnd().split('\n') })
    })
  })
}
const about = (findings: Finding[], text: string) =>
  findings.map(findingLine).filter(line => line.includes(text))

describe('./sluice doctor', () => {
  it('reports all faults of the configuration, and exits with 2', async () => {
    const { code, lines } = await run({ client: 'carrier pigeon', partitions: -1 })
    expect(code).toBe(2)
    expect(lines).toEqual([
      expect.stringMatching(/^FAULT {2}kafka\.client = "carrier pigeon": .*kafkajs.*line 1 of/),
      expect.stringMatching(/^FAULT {2}kafka\.partitions = -1: /),
    ])
  })

  it('refuses an administrator file with other keys', async () => {
    const admin = join(dir, 'admin.yaml')
    await writeFile(admin, 'kafka: { brokers: [a:1], topics: { ledger: mine } }\ngateway: {}\n')
    const { code, lines } = await run({}, '--create-topics', '--admin', admin)
    expect(code).toBe(2)
    expect(lines.map(line => line.split(':')[0])).toEqual(['FAULT  gateway', 'FAULT  kafka.topics'])
  })

  it('only warns when no Kafka is configured', async () => {
    const findings = await found()
    expect(about(findings, 'FAULT')).toEqual([])
    expect(about(findings, 'kafka')).toEqual([expect.stringMatching(/^warn .*brokers: .*outbox/)])
  })

  it('reports unavailable, unknown and silent brokers, one line each with its cure', async () => {
    const silent = createServer(socket => socket.on('error', () => {}))
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const refusing = `127.0.0.1:${await findFreePort()}`
    brokers = [refusing, 'no-such-host.invalid:9092', `127.0.0.1:${port}`]
    const findings = await found()
    silent.close()
    expect(about(findings, ' broker ')).toEqual([
      expect.stringMatching(
        /^FAULT {2}broker 127\.0\.0\.1:\d+: connection refused\. Is the broker/,
      ),
      expect.stringMatching(/^FAULT {2}broker no-such-host\.invalid:9092: the host name cannot be/),
      expect.stringMatching(/^FAULT {2}broker 127\.0\.0\.1:\d+: no answer in time\. .*firewall/),
      expect.stringMatching(/^warn {3}topics: not checked, because no broker responds/),
    ])
  })
})

describeWithKafka('./sluice doctor and a real Kafka', () => {
  beforeEach(() => {
    brokers = [...sharedKafka().brokers]
  })

  it('names each missing topic, creates it once as an administrator, and then finds no fault', async () => {
    const before = await found({ partitions: 4 })
    for (const topic of Object.values(topics)) {
      expect(about(before, topic)).toEqual([
        expect.stringMatching(/^FAULT .*does not exist.*--create-topics/),
      ])
    }
    const admin = join(dir, 'admin.yaml')
    await writeFile(admin, JSON.stringify({ kafka: { brokers } }))
    brokers = [`127.0.0.1:${await findFreePort()}`]
    const created = await run({ partitions: 4 }, '--create-topics', '--admin', admin)
    // Another suite may have created the topic of aggregates before.
    const ofThisTest = created.lines.filter(line => !line.includes('topic sluice.aggregates:'))
    expect(ofThisTest.filter(line => line.includes(': created: '))).toEqual([
      expect.stringMatching(/readings.*, backfill.*: 4 partitions, 1 replica, LogAppendTime, kept/),
      expect.stringMatching(/dead.*, ledger.*: 1 partition,/),
    ])
    // The bridge itself cannot reach its configured broker.
    expect(created.code).toBe(1)
    brokers = [...sharedKafka().brokers]
    const again = await run({ partitions: 4 }, '--create-topics', '--json')
    const { ok, findings } = JSON.parse(again.lines.join(''))
    expect({ ok, code: again.code }).toEqual({ ok: true, code: 0 })
    expect(findings).toContainEqual({
      level: 'ok',
      what: expect.stringMatching(/^topic .*readings/),
      value: expect.stringMatching(/^exists: 4 partitions/),
    })
    expect(findings).toContainEqual({
      level: 'ok',
      what: 'right to write',
      value: expect.stringMatching(/^granted/),
    })
    expect(findings).toContainEqual({
      level: 'warn',
      what: expect.stringMatching(/^topic /),
      value: expect.stringMatching(/^one replica/),
      cure: expect.any(String),
    })
  })

  it('creates the topics of the consumers too, as many partitions as the readings have', async () => {
    const { topics: admin } = await createKafkaClient(sharedKafka())
    const [aggregates, alerts] = [`aggregates-${randomUUID()}`, `alerts-${randomUUID()}`]
    const effectTopics = effectTopicsOf({
      consumers: {
        ...defaults.consumers,
        analytics: { ...defaults.consumers.analytics, topic: aggregates },
      },
    })
    expect(effectTopics.map(({ topic }) => topic)).toEqual([aggregates, ALERTS_TOPIC])
    const named = effectTopics.map(topic =>
      topic.topic === ALERTS_TOPIC ? { ...topic, topic: alerts } : topic,
    )
    const names = { topics, partitions: 2, effectTopics: named }
    await createMissingTopics(admin, names, 1)
    for (const topic of [aggregates, alerts]) {
      expect(await partitionsOf(sharedKafka(), topic)).toBe(2)
      expect(about(await createMissingTopics(admin, names, 1), topic)).toEqual([
        expect.stringMatching(topic === aggregates ? /^ok .*exists.*compacted$/ : /^ok .*exists/),
      ])
    }
  })

  it('reports an existing topic of aggregates that is not compacted', async () => {
    const { topics: admin } = await createKafkaClient(sharedKafka())
    const topic = `aggregates-${randomUUID()}`
    await createForeignTopic(
      sharedKafka(),
      { 'message.timestamp.type': 'LogAppendTime' },
      { topic, partitions: 2 },
    )
    const effectTopics = [{ topic, isCompacted: true }]
    const findings = await createMissingTopics(admin, { topics, partitions: 2, effectTopics }, 1)
    expect(about(findings, topic)).toEqual([
      expect.stringMatching(/^warn .*unchanged: cleanup.policy=delete instead of compact\. Change/),
    ])
  })

  it('leaves an existing topic unchanged, and reports the differences', async () => {
    const { topics: admin } = await createKafkaClient(sharedKafka())
    await createForeignTopic(sharedKafka(), {}, { topic: topics.readings })
    const findings = await createMissingTopics(admin, { topics, partitions: 2 }, 1)
    expect(about(findings, topics.readings)).toEqual([
      expect.stringMatching(
        /^warn .*left unchanged: 1 partitions instead of 2, CreateTime instead of Log/,
      ),
    ])
    expect(await partitionsOf(sharedKafka(), topics.readings)).toBe(1)
    expect(about(await found({ partitions: 2 }), `FAULT  topic ${topics.readings}`)).toEqual([
      expect.stringMatching(
        /1 partitions, but kafka.partitions is 2\. kafka-topics.*--partitions 2$/,
      ),
    ])
  })

  it('reports what is wrong with existing topics, whatever the age of a backlog', async () => {
    const twoPartitions = { partitions: 2 }
    await createForeignTopic(
      sharedKafka(),
      { 'cleanup.policy': 'compact', 'max.message.bytes': '100000' },
      { topic: topics.ledger },
    )
    await createForeignTopic(
      sharedKafka(),
      { 'max.message.bytes': '10000' },
      { topic: topics.deadletters },
    )
    const small = { 'max.message.bytes': '150000' }
    await createForeignTopic(sharedKafka(), small, { topic: topics.backfill })
    const short = { 'message.timestamp.type': 'CreateTime', 'retention.ms': '60000' }
    await createForeignTopic(sharedKafka(), short, { ...twoPartitions, topic: topics.readings })
    const outbox = openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' })
    const old = { ...reading('lobby', 'x'.repeat(200_000)), receivedAt: Date.now() - 3_600_000 }
    outbox.commit({ readings: [old], deadLetters: [] })
    outbox.close()
    const findings = (await found()).filter(({ value }) => !value.startsWith('one replica'))
    expect(about(findings, topics.readings)).toEqual([
      expect.stringMatching(/^ok .*CreateTime, kept for 60 s/),
      expect.stringMatching(/^warn .*CreateTime.*LogAppendTime/),
      expect.stringMatching(/^warn .*for only 60 s.*retention\.ms/),
      expect.stringMatching(/^ok {5}right to write/),
    ])
    expect(about(findings, `topic ${topics.backfill}`)).toEqual([
      expect.stringMatching(/^FAULT .*1 partitions, but readings are spread over 2.*--alter/),
      expect.stringMatching(/^warn .*CreateTime.*LogAppendTime/),
      expect.stringMatching(/^warn .*at most 150\.0 kB, but its records may have 200\.\d kB/),
    ])
    expect(about(findings, `warn   topic ${topics.ledger}`)).toContainEqual(
      expect.stringMatching(/at most 100\.0 kB, but its records may have 262\.1 kB/),
    )
    expect(about(findings, `FAULT  topic ${topics.ledger}`)[0]).toMatch(/cleanup\.policy=delete/)
    expect(about(findings, `warn   topic ${topics.deadletters}`)).toContainEqual(
      expect.stringMatching(/at most 10\.0 kB.*max\.message\.bytes=349526/),
    )
  })
})
