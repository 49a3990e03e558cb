import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, inject, it, vi } from 'vitest'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { exitCodeOf } from '../../../cloud-bridge/ledger/report.ts'
import { createLedgerReading } from '../../../cloud-bridge/ledger/verification.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { openConfigDir } from '../../config/config-fixture.ts'
import { createTopics, describeWithKafka, readTopic, sharedKafka } from '../../setup/kafka/kafka.ts'
import { freshTopics, startBridge, type Topics } from '../forward/running-bridge.ts'
import { reading } from '../readings.ts'

const soon = { timeout: 30_000, interval: 100 }
const deadLetter = { reason: 'no JSON', place: '', topic: 't', payload: Buffer.from('x') }

async function recreate(topic: string): Promise<void> {
  const admin = createKafkajs(sharedKafka()).admin()
  await admin.connect()
  await admin.deleteTopics({ topics: [topic] })
  await vi.waitFor(async () => expect(await admin.listTopics()).not.toContain(topic), soon)
  await admin.disconnect()
  await createTopics(sharedKafka(), [{ topic, partitions: 2 }])
}

/** What the ledger finds in Kafka now. */
async function verify(topics: Topics) {
  using dir = openConfigDir()
  const config = dir.configOf(JSON.stringify({ kafka: { brokers: inject('brokers'), topics } }))
  const { stream } = await createKafkaClient(sharedKafka())
  const { signal } = new AbortController()
  const options = { config, signal, silentAfterMs: 3_600_000, onProblem: () => {} }
  const verification = createLedgerReading(options, stream)
  await verification.readToEnd()
  const report = verification.report()
  return { ...report.gateways[0]!, code: exitCodeOf(report) }
}

describeWithKafka('a dead-letter topic that is deleted and created again', () => {
  it('makes the dead letters that it had lost notes', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-dead-letter-topic-'))
    const topics = freshTopics()
    await createTopics(
      sharedKafka(),
      Object.values(topics).map(topic => ({ topic, partitions: 2 })),
    )
    const outbox = openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' })
    const bridge = await startBridge({ dir, kafka: sharedKafka(), topics })
    try {
      const storeDeadLetter = (count: number) =>
        outbox.commit({ deadLetters: Array.from({ length: count }, () => ({ at: 1, deadLetter })) })
      const letters = async () => (await readTopic(sharedKafka(), topics.deadletters)).flat().length
      const readAndBeat = async (last: number) => {
        outbox.commit({ readings: [reading('a')] })
        outbox.writeZoneHeads()
        await vi.waitFor(async () => {
          const ledger = (await readTopic(sharedKafka(), topics.ledger)).flat()
          const notes = ledger.map(({ value }) => JSON.parse(String(value)))
          expect(notes.some(({ sequence }) => sequence === last)).toBe(true)
          expect(bridge.waitReasons.events).toBeNull()
        }, soon)
      }
      storeDeadLetter(10)
      await vi.waitFor(async () => expect(await letters()).toBe(10), soon)
      await readAndBeat(12)
      expect(await verify(topics)).toMatchObject({ code: 0, lostNotes: [] })
      await recreate(topics.deadletters)
      const lost = [{ origin: 'outbox', from: 2, to: 11 }]
      expect(await verify(topics)).toMatchObject({ code: 1, lostNotes: lost })
      storeDeadLetter(3)
      await vi.waitFor(async () => expect(await letters()).toBe(3), soon)
      await readAndBeat(16)
      expect(await verify(topics)).toMatchObject({ code: 1, missing: 0, lostNotes: lost })
    } finally {
      await bridge.stop()
      outbox.close()
      await rm(dir, { recursive: true, force: true })
    }
  }, 120_000)
})
