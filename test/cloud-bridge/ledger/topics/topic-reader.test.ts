import { expect, it } from 'vitest'
import { createKafkaClient } from '../../../../cloud-bridge/kafka/configured-client.ts'
import { createKafkajs } from '../../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { createLedger } from '../../../../cloud-bridge/ledger/ledger.ts'
import { createTopicReader } from '../../../../cloud-bridge/ledger/topics/topic-reader.ts'
import { encodeEvent } from '../../../../config/event/sensor-reading.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import {
  createTopics,
  describeWithKafka,
  openKafkaSink,
  sharedKafka,
} from '../../../setup/kafka/kafka.ts'
import { freshTopics } from '../../forward/running-bridge.ts'

/** Deletes the first record, as Kafka's retention does. */
async function shorten(topic: string): Promise<void> {
  const admin = createKafkajs(sharedKafka()).admin()
  await admin.connect()
  // The client knows a topic's leader only after a request about the topic.
  await admin.fetchTopicOffsets(topic)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '1' }] })
  await admin.disconnect()
}

describeWithKafka('the topic reader of the ledger', () => {
  it('takes the log start from the readings topic, whatever was replayed', async () => {
    const topics = freshTopics()
    const plans = Object.values(topics).map(topic => ({ topic, partitions: 1 }))
    await createTopics(sharedKafka(), plans)
    await using sink = await openKafkaSink(sharedKafka())
    const send = (topic: string, ...times: number[]) => {
      const records = times.map(receivedAt => {
        const value = encodeEvent({ ...goldenEvent, sequence: receivedAt, receivedAt })
        return { key: Buffer.from('k'), partition: 0, value }
      })
      return sink.send({ topic, records })
    }
    // Kafka can run on another machine with another clock.
    const beforeMs = Date.now() - 60_000
    await send(topics.readings, 10, 20, 30)
    await send(topics.backfill, 20, 30)
    const afterMs = Date.now() + 60_000
    const read = async () => {
      const ledger = createLedger()
      const { stream } = await createKafkaClient(sharedKafka())
      await createTopicReader({ stream, ledger, topics }).readToEnd()
      const { epochs, oldestIn, partitions } = [...ledger.gateways.values()][0]!
      const [epoch] = epochs.values()
      // The append time, not the event's own time.
      expect(epoch!.times.newestEventMs).toBeGreaterThan(beforeMs)
      expect(epoch!.times.newestEventMs).toBeLessThan(afterMs)
      return {
        logStart: ledger.logStarts.get(0)!,
        oldest: oldestIn.get(0)?.get(epoch!.epoch),
        partitions: [...partitions],
      }
    }
    const partitions = [[goldenEvent.zone, 0]]
    await shorten(topics.backfill)
    expect(await read()).toEqual({ logStart: Number.NEGATIVE_INFINITY, oldest: 10, partitions })
    await shorten(topics.readings)
    const { logStart, oldest } = await read()
    expect(oldest).toBe(20)
    expect(logStart).toBeGreaterThan(beforeMs)
    expect(logStart).toBeLessThan(afterMs)
  })
})
