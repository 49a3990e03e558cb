import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { expect, inject, it } from 'vitest'
import type { ReadRecord } from '../../../cloud-bridge/kafka/reader.ts'
import { openSink } from '../../../cloud-bridge/kafka/sink.ts'
import { createTopics } from '../../../cloud-bridge/kafka/topics.ts'
import type { Report } from '../../../cloud-bridge/ledger/report.ts'
import { decodeEvent } from '../../../config/events.ts'
import { describeWithKafka, readTopic, shared } from '../../setup/kafka.ts'
import { startTestJob } from '../../simulators/job-fixture.ts'

const launcher = fileURLToPath(new URL('../../../sluice', import.meta.url))

type Topics = { readings: string; deadletters: string; ledger: string }
function freshTopics(): Topics {
  const id = randomUUID()
  return { readings: `readings-${id}`, deadletters: `dead-${id}`, ledger: `ledger-${id}` }
}

/** What `sluice ledger verify` says of these topics, and its exit code. */
function verify(topics: Topics, ...args: string[]) {
  const env = {
    ...process.env,
    SLUICE_KAFKA_BROKERS: inject('brokers').join(','),
    SLUICE_KAFKA_TOPICS_READINGS: topics.readings,
    SLUICE_KAFKA_TOPICS_LEDGER: topics.ledger,
  }
  const command = [launcher, 'ledger', 'verify', '--silent-after', '600', ...args]
  return new Promise<{ code: number; stdout: string; stderr: string }>(resolve => {
    execFile(process.execPath, command, { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}
const reportIn = ({ stdout }: { stdout: string }): Report => JSON.parse(stdout)

/** Copies a topic record by record, but for what is withheld; `twice` is sent once more. */
async function copy(from: string, to: string, keep: (one: ReadRecord) => boolean, twice = 0) {
  const partitions = await readTopic(shared(), from)
  await createTopics(shared(), [{ topic: to, partitions: partitions.length }])
  const kept = partitions.flat().filter(keep)
  await using sink = openSink(shared())
  for (const records of [kept, kept.slice(0, twice)]) {
    const batch = records.map(({ key, partition, value }) => ({ key: key!, partition, value }))
    if (batch.length > 0) await sink.send({ topic: to, records: batch })
  }
}

describeWithKafka('sluice ledger verify', () => {
  it('proves a run complete, and names exactly what is withheld', async () => {
    const topics = freshTopics()
    await using job = await startTestJob(
      { ratePerSecond: 1000 },
      { brokers: inject('brokers'), topics },
    )
    await job.devices.run(AbortSignal.timeout(5000))
    expect(await job.drain()).toBe(0)
    const delivered = job.devices.counters().acknowledged
    // Its last heartbeat is written when it ends, and goes to Kafka within a second.
    await job.gateway.stop(10_000)
    await expect
      .poll(async () => reportIn(await verify(topics, '--json')).gateways[0]?.state, {
        timeout: 30_000,
      })
      .toBe('complete')
    const whole = await verify(topics, '--json')
    expect(whole.code).toBe(0)
    expect(reportIn(whole)).toMatchObject({ verdict: 'complete', foreign: 0 })
    const [gateway] = reportIn(whole).gateways
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
    expect((await verify(less)).stdout).toMatch(/missing: zone \S+ 11\.\.12 \(2\) of run \d+, /)
  }, 120_000)

  it('says what is wrong when there is no such topic', async () => {
    const { code, stdout, stderr } = await verify(freshTopics())
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/has no topic ledger-.*, readings-.*\. Create it, or set kafka\.topics/)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  it('cannot prove anything where nothing was sent, and leaves out what is not ours', async () => {
    const topics = freshTopics()
    const all = Object.values(topics).map(topic => ({ topic, partitions: 2 }))
    await createTopics(shared(), all)
    await using sink = openSink(shared())
    const record = { key: Buffer.from('k'), partition: 1, value: Buffer.from('not ours') }
    for (const topic of [topics.readings, topics.ledger])
      await sink.send({ topic, records: [record] })
    const { code, stdout } = await verify(topics)
    expect(code).toBe(3)
    expect(stdout).toBe('no gateway has sent anything yet\n2 values in the topics are not ours\n')
  })
})
