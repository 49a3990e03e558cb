import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Finding } from '../../../cloud-bridge/doctor/finding.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { givenTopic } from '../../setup/foreign-topics.ts'
import { describeWithKafka, partitionsOf, shared } from '../../setup/kafka.ts'
import { reading } from '../readings.ts'
import { freshTopics, type Topics } from '../running-bridge.ts'

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

/** What the doctor says of this configuration; JSON is YAML. */
async function doctor(kafka: object, ...args: string[]) {
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
  return await new Promise<{ code: number; lines: string[] }>(resolve => {
    const all = [main, '--config', file, ...args]
    execFile(process.execPath, all, (error, stdout) => {
      resolve({ code: Number(error?.code ?? 0), lines: stdout.trimEnd().split('\n') })
    })
  })
}
const about = (lines: string[], what: string) => lines.filter(line => line.includes(what))

describe('./sluice doctor', () => {
  it('tells all that is wrong with the configuration, and exits with 2', async () => {
    const { code, lines } = await doctor({ client: 'carrier pigeon', partitions: -1 })
    expect(code).toBe(2)
    expect(lines).toEqual([
      expect.stringMatching(/^FAULT {2}kafka\.client = "carrier pigeon": .*kafkajs.*line 1 of/),
      expect.stringMatching(/^FAULT {2}kafka\.partitions = -1: /),
    ])
  })

  it('takes the options of an administrator for creating alone', async () => {
    const { code, lines } = await doctor({}, '--admin', join(dir, 'admin.yaml'))
    expect(code).toBe(2)
    expect(lines).toEqual([expect.stringMatching(/^FAULT {2}--admin.*--create-topics/)])
  })

  it('refuses a file of an administrator that sets other things', async () => {
    const admin = join(dir, 'admin.yaml')
    await writeFile(admin, 'kafka: { brokers: [a:1], topics: { ledger: mine } }\ngateway: {}\n')
    const { code, lines } = await doctor({}, '--create-topics', '--admin', admin)
    expect(code).toBe(2)
    expect(lines.map(line => line.split(':')[0])).toEqual(['FAULT  gateway', 'FAULT  kafka.topics'])
  })

  it('only warns where no Kafka is configured', async () => {
    const { code, lines } = await doctor({})
    expect(code).toBe(0)
    expect(about(lines, 'kafka')).toEqual([
      expect.stringMatching(/^warn {3}kafka\.brokers: .*outbox/),
    ])
  })

  it('ends although brokers are away, unknown or silent, each in one line with its cure', async () => {
    const silent = createServer(socket => socket.on('error', () => {}))
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const nobody = `127.0.0.1:${await findFreePort()}`
    brokers = [nobody, 'no-such-host.invalid:9092', `127.0.0.1:${port}`]
    const { code, lines } = await doctor({})
    silent.close()
    expect(code).toBe(1)
    expect(about(lines, 'broker ')).toEqual([
      expect.stringMatching(/^FAULT {2}broker 127\.0\.0\.1:\d+: nobody listens there\. Is it up/),
      expect.stringMatching(
        /^FAULT {2}broker no-such-host\.invalid:9092: a host of this name is not/,
      ),
      expect.stringMatching(/^FAULT {2}broker 127\.0\.0\.1:\d+: no answer in time\. .*firewall/),
    ])
    expect(about(lines, 'topics')).toEqual([expect.stringMatching(/^warn .* no broker answers/)])
  })
})

describeWithKafka('./sluice doctor and a real Kafka', () => {
  beforeEach(() => {
    brokers = [...shared().brokers]
  })

  it('names each topic that is missing, creates them once, and finds all well', async () => {
    const before = await doctor({ partitions: 4 })
    expect(before.code).toBe(1)
    for (const topic of Object.values(topics)) {
      expect(about(before.lines, topic)).toEqual([
        expect.stringMatching(/^FAULT .*none of this name.*--create-topics/),
      ])
    }
    const created = await doctor({ partitions: 4 }, '--create-topics')
    expect(about(created.lines, `${topics.readings}: created`)).toEqual([
      expect.stringMatching(/^ok .*: 4 partitions, 1 replica, LogAppendTime, kept for 7 days/),
    ])
    expect(about(created.lines, `${topics.backfill}: created: 4 partitions`)).toHaveLength(1)
    expect(created.code).toBe(0)
    const again = await doctor({ partitions: 9 }, '--create-topics', '--json')
    const { ok, findings } = JSON.parse(again.lines.join('')) as {
      ok: boolean
      findings: Finding[]
    }
    expect({ ok, code: again.code }).toEqual({ ok: false, code: 1 })
    const left = findings.find(({ value }) => value.includes('left as it is'))
    expect(left).toMatchObject({ level: 'warn', what: `topic ${topics.readings}` })
    expect(left!.value).toContain('4 partitions and not 9')
    expect(findings).toContainEqual({
      ...{ level: 'FAULT', what: `topic ${topics.readings}` },
      value: '4 partitions, and kafka.partitions is 9',
      cure: `kafka-topics.sh --alter --topic ${topics.readings} --partitions 9`,
    })
    expect(await partitionsOf(shared(), topics.readings)).toBe(4)
  })

  it('creates where and as an administrator’s file says', async () => {
    const admin = join(dir, 'admin.yaml')
    await writeFile(admin, JSON.stringify({ kafka: { brokers } }))
    brokers = [`127.0.0.1:${await findFreePort()}`]
    const { code, lines } = await doctor({}, '--create-topics', '--admin', admin)
    expect(about(lines, ': created: ')).toHaveLength(4)
    // The bridge itself cannot get there.
    expect(about(lines, 'broker ')).toEqual([expect.stringMatching(/^FAULT/)])
    expect(code).toBe(1)
  })

  it('says what given topics would do to a backlog', async () => {
    const place = { partitions: 2 }
    await givenTopic(shared(), { 'cleanup.policy': 'compact' }, { topic: topics.ledger })
    await givenTopic(shared(), { 'max.message.bytes': '10000' }, { topic: topics.deadletters })
    await givenTopic(shared(), {}, { topic: topics.backfill })
    const short = { 'message.timestamp.type': 'CreateTime', 'retention.ms': '60000' }
    await givenTopic(shared(), short, { ...place, topic: topics.readings })
    const outbox = openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' })
    const old = { ...reading('lobby'), receivedAt: Date.now() - 3_600_000 }
    outbox.commit({ readings: [old], deadLetters: [] })
    outbox.close()
    const { code, lines } = await doctor({})
    expect(code).toBe(1)
    expect(about(lines, topics.readings)).toEqual([
      expect.stringMatching(/^FAULT .*CreateTime\) for 60 s, .* 60 min old.*kafka-configs/),
      expect.stringMatching(/^warn .*60 s alone.*retention\.ms/),
    ])
    expect(about(lines, topics.backfill)).toEqual([
      expect.stringMatching(/^FAULT .*1 partitions, and readings are spread over 2.*--alter/),
      expect.stringMatching(/^warn .*CreateTime.*LogAppendTime/),
    ])
    expect(about(lines, `FAULT  topic ${topics.ledger}`)[0]).toMatch(/cleanup\.policy=delete/)
    expect(about(lines, `warn   topic ${topics.deadletters}`)).toContainEqual(
      expect.stringMatching(/at most 10\.0 kB.*max\.message\.bytes=349526/),
    )
  })
})
