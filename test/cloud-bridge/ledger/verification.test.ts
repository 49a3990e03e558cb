import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { expect, inject, it } from 'vitest'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import type { LedgerReport } from '../../../cloud-bridge/ledger/report.ts'
import type { ReadRecord } from '../../../cloud-bridge/ports/event-stream.ts'
import { decodeEvent, encodeEvent } from '../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../config/event/events-fixture.ts'
import {
  createTopics,
  describeWithKafka,
  openKafkaSink,
  readTopic,
  sharedKafka,
} from '../../setup/kafka/kafka.ts'
import { startTestStage } from '../../simulators/pipeline/pipeline-fixture.ts'

const launcher = fileURLToPath(new URL('../../../sluice', import.meta.url))

type Topics = { readings: string; deadletters: string; ledger: string }
function freshTopics(): Topics {
  const id = randomUUID()
  return { readings: `readings-${id}`, deadletters: `dead-${id}`, ledger: `ledger-${id}` }
}

const envOf = (topics: Topics) => ({
  ...process.env,
  SLUICE_KAFKA_BROKERS: inject('brokers').join(','),
  SLUICE_KAFKA_TOPICS_READINGS: topics.readings,
  SLUICE_KAFKA_TOPICS_LEDGER: topics.ledger,
  SLUICE_KAFKA_TOPICS_DEADLETTERS: topics.deadletters,
})
const command = [launcher, 'ledger', 'verify', '--silent-after', '600']

/** The output and exit code of `sluice ledger verify` for these topics. */
function verify(topics: Topics, ...args: string[]) {
  const env = envOf(topics)
  return new Promise<{ code: number; stdout: string; stderr: string }>(resolve => {
    execFile(process.execPath, [...command, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}
const reportIn = ({ stdout }: { stdout: string }): LedgerReport => JSON.parse(stdout)

/**
 * Copies the records of a topic for which `keep` returns true, and copies the first `twice` of
 * these records a second time.
 */
async function copy(from: string, to: string, keep: (record: ReadRecord) => boolean, twice = 0) {
  const partitions = await readTopic(sharedKafka(), from)
  await createTopics(sharedKafka(), [{ topic: to, partitions: partitions.length }])
  const kept = partitions.flat().filter(keep)
  await using sink = await openKafkaSink(sharedKafka())
  for (const records of [kept, kept.slice(0, twice)]) {
    const batch = records.map(({ key, partition, value }) => ({ key: key!, partition, value }))
    if (batch.length > 0) await sink.send({ topic: to, records: batch })
  }
}

/** Deletes the older half of each partition, as Kafka's retention does. */
async function shorten(topic: string): Promise<void> {
  const admin = createKafkajs(sharedKafka()).admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  const partitions = ends.map(({ partition, high }) => ({ partition, offset: `${+high >> 1}` }))
  await admin.deleteTopicRecords({ topic, partitions })
  await admin.disconnect()
}

describeWithKafka('sluice ledger verify', () => {
  it('proves a gateway complete, and names exactly the withheld events', async () => {
    const topics = freshTopics()
    await using job = await startTestStage(
      { ratePerSecond: 1000 },
      { brokers: inject('brokers'), topics },
    )
    await job.devices.run(AbortSignal.timeout(5000))
    expect(await job.drain()).toBe(0)
    const delivered = job.devices.counters().acknowledged
    // The gateway writes its last heartbeat when it stops; Kafka has it within a second.
    await job.gateway.stop(10_000)
    await expect
      .poll(async () => reportIn(await verify(topics, '--json')).gateways[0]?.state, {
        timeout: 30_000,
      })
      .toBe('complete')
    const complete = await verify(topics, '--json')
    expect(complete.code).toBe(0)
    expect(reportIn(complete)).toMatchObject({ verdict: 'complete', foreign: 0 })
    const [gateway] = reportIn(complete).gateways
    expect(gateway).toMatchObject({ events: delivered, holes: [], awaited: 0, missing: 0 })

    const withheld = new Map<string, number[]>()
    const less = freshTopics()
    const keep = ({ value }: ReadRecord) => {
      const { zone, zoneSequence, sequence } = decodeEvent(value)
      const isKept = sequence % 500 !== 7 && !(zoneSequence > 10 && zoneSequence < 13)
      if (!isKept) withheld.set(zone, [...(withheld.get(zone) ?? []), zoneSequence])
      return isKept
    }
    await copy(topics.readings, less.readings, keep, 5)
    await copy(topics.ledger, less.ledger, () => true)
    const lacking = await verify(less, '--json')
    expect(lacking.code).toBe(1)
    const report = reportIn(lacking)
    const named = new Map<string, number[]>()
    for (const { zone, from, to, fate } of report.gateways[0]!.holes) {
      expect(['missing', 'awaited']).toContain(fate)
      const numbers = Array.from({ length: to - from + 1 }, (_, at) => from + at)
      named.set(
        zone!,
        [...(named.get(zone!) ?? []), ...numbers].sort((a, b) => a - b),
      )
    }
    expect(named).toEqual(withheld)
    expect(report.gateways[0]).toMatchObject({ duplicates: 5 })
    expect((await verify(less)).stdout).toMatch(/missing: zone \S+ 11\.\.12 \(2\) of epoch \d+, /)

    await shorten(topics.readings)
    const shortened = await verify(topics, '--json')
    expect(shortened.code).toBe(0)
    const { expired, events } = reportIn(shortened).gateways[0]!
    expect(expired).toBe(delivered - events)
    expect(expired).toBeGreaterThan(delivered / 3)
  }, 120_000)

  it('reports new events while it watches, until the signal', async () => {
    const topics = freshTopics()
    await createTopics(
      sharedKafka(),
      Object.values(topics).map(topic => ({ topic, partitions: 1 })),
    )
    const args = [...command, '--watch', '--json']
    const child = spawn(process.execPath, args, { env: envOf(topics) })
    const ended = new Promise(resolve => child.once('exit', resolve))
    const lines: string[] = []
    child.stdout.on('data', data => lines.push(...String(data).trim().split('\n')))
    const newest = () => JSON.parse(lines.at(-1) ?? 'null') as LedgerReport | null
    await expect.poll(() => newest()?.gateways, { timeout: 20_000 }).toEqual([])
    await using sink = await openKafkaSink(sharedKafka())
    const record = (value: Buffer) => ({ key: Buffer.from('k'), partition: 0, value })
    const { gateway, epoch, zone } = goldenEvent
    const event = encodeEvent({ ...goldenEvent, sequence: 1, zoneSequence: 1 })
    await sink.send({ topic: topics.readings, records: [record(event), record(event)] })
    const facts = { gateway, store: 'aa', origin: 'outbox', sequence: 1, at: Date.now() }
    const content = { epoch, lastSequence: 1, zones: [[zone, 1]] }
    const note = Buffer.from(JSON.stringify({ ...facts, kind: 'heads', content }))
    await sink.send({ topic: topics.ledger, records: [record(note)] })
    await expect
      .poll(() => newest()?.gateways, { timeout: 20_000 })
      .toMatchObject([{ gateway, state: 'complete', time: facts.at, events: 1, duplicates: 1 }])
    child.kill('SIGINT')
    expect(await ended).toBe(0)
  }, 60_000)

  it('names the missing topics', async () => {
    const { code, stdout, stderr } = await verify(freshTopics())
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/has no topic ledger-.*, readings-.*\. Create it, or set kafka\.topics/)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  it('proves nothing without events, and counts foreign values', async () => {
    const topics = freshTopics()
    const all = Object.values(topics).map(topic => ({ topic, partitions: 2 }))
    await createTopics(sharedKafka(), all)
    await using sink = await openKafkaSink(sharedKafka())
    const record = { key: Buffer.from('k'), partition: 1, value: Buffer.from('foreign') }
    for (const topic of [topics.readings, topics.ledger])
      await sink.send({ topic, records: [record] })
    const { code, stdout } = await verify(topics)
    expect(code).toBe(3)
    expect(stdout).toBe(
      'no gateway has sent anything yet\n2 values in the topics are neither events nor notes of Sluice\n',
    )
  })
})
