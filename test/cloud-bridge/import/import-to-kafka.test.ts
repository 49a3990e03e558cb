import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { expect, inject, it } from 'vitest'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { openWorkspace } from '../../gateway/inspect/command.ts'
import {
  createTopics,
  describeWithKafka,
  freshTopic,
  openKafkaSink,
  readTopic,
  sharedKafka,
} from '../../setup/kafka/kafka.ts'
import { createTemporaryDir } from '../consumers/archive/fixture.ts'
import { freshTopics } from '../forward/running-bridge.ts'

const start = Date.UTC(2024, 0, 15, 8)
const ROWS = 90
/** A temperature of 20 in the first half of an hour, and 30 afterwards; a row a minute. */
const recording = (room: number) =>
  ['time;temperature']
    .concat(
      Array.from({ length: ROWS }, (_, n) => {
        const time = new Date(start + n * 60_000).toISOString()
        return `${time};${(n < 30 ? 20 : 30) + room},0`
      }),
    )
    .join('\n')

async function openImport() {
  const topics = freshTopics()
  await createTopics(sharedKafka(), [{ topic: topics.readings, partitions: 3 }])
  const port = await findFreePort()
  const states = createTemporaryDir()
  const workspace = openWorkspace({
    kafka: { brokers: inject('brokers'), topics },
    consumers: {
      ...{ importTopic: `imported-${randomUUID()}`, dir: states.dir },
      analytics: { http: { port }, topic: `aggregates-${randomUUID()}` },
    },
  })
  for (const room of [1, 2]) writeFileSync(workspace.file(`room${room}.csv`), recording(room))
  const files = [1, 2].map(room => workspace.file(`room${room}.csv`))
  return {
    ...{ ...workspace, files, topics, port },
    [Symbol.dispose]() {
      workspace[Symbol.dispose]()
      states[Symbol.dispose]()
    },
  }
}

describeWithKafka('./sluice import', () => {
  it('sends recordings once to a topic of their own, by zone', { timeout: 120_000 }, async () => {
    using at = await openImport()
    const topic = `imported-${randomUUID()}`
    const command = ['import', ...at.files, '--topic', topic, '--json']
    const first = await at.run(...command)
    expect([first.code, first.stderr]).toEqual([0, ''])
    expect(JSON.parse(first.stdout)).toMatchObject({ topic, rows: 180, sent: 180, known: 0 })
    const second = await at.run(...command)
    expect(JSON.parse(second.stdout)).toMatchObject({ rows: 180, sent: 0, known: 180 })
    const records = (await readTopic(sharedKafka(), topic)).flat()
    expect(records).toHaveLength(180)
    const kafka = await createKafkaClient(sharedKafka())
    expect(await kafka.topics.settingsOf(topic)).toMatchObject({
      partitions: 3,
      config: { retentionMs: null },
    })
    for (const { partition, value } of records) {
      expect(partition).toBe(partitionOf(Buffer.from(decodeEvent(value).zone), 3))
    }
    const times = records.map(({ value }) => decodeEvent(value).observedAt)
    expect([Math.min(...times.map(Number)), Math.max(...times.map(Number))]).toEqual([
      start,
      start + (ROWS - 1) * 60_000,
    ])
    const live = await at.run('import', at.files[0]!, '--topic', at.topics.readings)
    expect([live.code, live.stderr]).toEqual([2, expect.stringContaining('name another topic')])
  })

  it('refuses a topic with records that are no events', { timeout: 60_000 }, async () => {
    using at = await openImport()
    const topic = await freshTopic(sharedKafka(), 1)
    await using sink = await openKafkaSink(sharedKafka())
    const record = { key: Buffer.from('k'), partition: 0, value: Buffer.from('no event') }
    await sink.send({ topic, records: [record] })
    const { code, stderr } = await at.run('import', at.files[0]!, '--topic', topic)
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(`${topic} has a record that is no event (partition 0, offset 0: `),
    ])
  })

  it('lets analytics aggregate the recorded hours beside live events', {
    timeout: 120_000,
  }, async () => {
    using at = await openImport()
    const topic = `imported-${randomUUID()}`
    const { code, stderr } = await at.run('import', ...at.files, '--topic', topic)
    expect([code, stderr]).toEqual([0, ''])
    const { child, ended } = at.start('consume', 'analytics', '--topic', topic)
    const url = `http://127.0.0.1:${at.port}/api/aggregates`
    const hour = 3_600_000
    const span = `from=${new Date(start).toISOString()}&to=${new Date(start + hour).toISOString()}`
    const ask = async () => {
      const answer = await fetch(`${url}?zone=room2&metric=temperature&size=1h&${span}`)
      return answer.json() as Promise<{ aggregates?: { count: number; mean: number }[] }>
    }
    try {
      await expect
        .poll(() => ask().catch(() => null), { timeout: 60_000, interval: 200 })
        .toMatchObject({ aggregates: [{ count: 60, mean: 27 }] })
    } finally {
      child.kill('SIGTERM')
    }
    expect((await ended).code).toBe(0)
  })
})
