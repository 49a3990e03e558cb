import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { startLocalKafka } from '../../../simulators/kafka/local-kafka.ts'
import { cacheDir, describeWithKafka } from '../../setup/kafka/java.ts'
import { createTopics, kafkaAt, readTopic } from '../../setup/kafka/kafka.ts'
import { reading } from '../readings.ts'
import { freshTopics, startBridge } from './running-bridge.ts'

const soon = { timeout: 30_000, interval: 50 }

describeWithKafka('the bridge without a Kafka', () => {
  it('waits for a Kafka that starts late, and for one that stops and starts again', {
    timeout: 120_000,
  }, async () => {
    await using stack = new AsyncDisposableStack()
    const dir = await mkdtemp(join(tmpdir(), 'sluice-outage-'))
    stack.defer(() => rm(dir, { recursive: true, force: true }))
    const outbox = stack.adopt(
      openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' }),
      opened => opened.close(),
    )
    let stored = 0
    const store = () => {
      outbox.commit({ readings: ['a', 'b', 'a', 'c'].map(zone => reading(zone)), deadLetters: [] })
      stored += 4
    }
    const port = await findFreePort()
    const kafkaOptions = kafkaAt([`127.0.0.1:${port}`], 2000)
    const topics = freshTopics()
    const bridge = await startBridge({ dir, kafka: kafkaOptions, topics })
    stack.defer(() => bridge.stop())
    const allDelivered = () => vi.waitFor(() => expect(bridge.totals.delivered).toBe(stored), soon)

    store()
    await vi.waitFor(() => expect(bridge.waitReasons.events).toContain(topics.readings), soon)
    store()
    expect(bridge.source.backlog()?.events).toBe(8)

    const kafka = stack.use(await startLocalKafka({ dir: join(dir, 'kafka'), port, cacheDir }))
    const plans = Object.values(topics).map(topic => ({ topic, partitions: 2 }))
    await createTopics(kafkaOptions, plans)
    await allDelivered()
    expect(bridge.waitReasons.events).toBeNull()

    await kafka.kill()
    store()
    await vi.waitFor(() => expect(bridge.waitReasons.events).not.toBeNull(), soon)
    store()
    await kafka.restart()
    await allDelivered()
    expect(bridge.waitReasons.events).toBeNull()

    const found = (await readTopic(kafkaOptions, topics.readings)).map(records =>
      records.map(({ value }) => decodeEvent(value)),
    )
    for (const events of found) {
      const sequences = events.map(({ sequence }) => sequence)
      expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
    }
    expect(new Set(found.flat().map(({ sequence }) => sequence)).size).toBe(stored)
    expect(found.flat()).toHaveLength(stored)
  })
})
