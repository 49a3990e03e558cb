import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OutgoingRecord } from '../../cloud-bridge/ports/event-sink.ts'
import { addPartitions, alterTopic, createTopicWith } from '../setup/kafka/topic-settings.ts'
import { deliver, type Script } from './network-faults.ts'
import type { Stage } from './stage.ts'

/** How long the topic stays faulty. */
const FAULTY_MS = 1000

/** Settings of a topic, a missing topic, or a topic with too few partitions. */
export type TopicSetup = { settings?: Record<string, string>; partitions?: number; missing?: true }

/** Refusals of Kafka: permanent ones reject the record, temporary ones let the batch wait. */
export const refusals: Record<string, { ground: TopicSetup; script: Script }> = {
  'a message is too large': {
    ground: {},
    script: stage => rejectOne(stage, record => ({ ...record, value: randomBytes(1_100_000) })),
  },
  'a record is invalid (no key, compacted)': {
    ground: { settings: { 'cleanup.policy': 'compact' } },
    script: stage => rejectOne(stage, record => ({ ...record, key: null as unknown as Buffer })),
  },
  'a timestamp is invalid (INVALID_TIMESTAMP)': {
    ground: {
      settings: {
        'message.timestamp.type': 'CreateTime',
        'message.timestamp.before.max.ms': '0',
        'message.timestamp.after.max.ms': '0',
      },
    },
    script: async (stage, on) => {
      const repaired = repairLater(stage, () =>
        alterTopic(on.direct, stage.topic, { 'message.timestamp.type': 'LogAppendTime' }),
      )
      await deliver(stage, 3)
      await repaired
    },
  },
  'an unknown topic, created later': {
    ground: { missing: true },
    script: async (stage, on) => {
      const repaired = repairLater(stage, () =>
        createTopicWith(on.direct, { topic: stage.topic, partitions: 6 }),
      )
      await deliver(stage, 3)
      await repaired
    },
  },
  'a missing partition, added later': {
    ground: { partitions: 2 },
    script: async (stage, on) => {
      const repaired = repairLater(stage, () => addPartitions(on.direct, stage.topic, 6))
      await deliver(stage, 3)
      await repaired
    },
  },
}

async function repairLater(stage: Stage, work: () => Promise<unknown>): Promise<void> {
  await sleep(FAULTY_MS)
  await work()
  stage.recordFault()
}

/**
 * Makes one record of a batch invalid with `spoil`, and checks that Kafka rejects only that record.
 */
async function rejectOne(
  stage: Stage,
  spoil: (record: OutgoingRecord) => OutgoingRecord,
): Promise<void> {
  await stage.deliver()
  const { topic, records } = stage.nextBatch()
  const bad = 4
  const fates = await stage.deliver({
    topic,
    records: records.map((record, index) => (index === bad ? spoil(record) : record)),
  })
  const rejected = fates.flatMap((fate, index) => (fate === null ? [] : [index]))
  if (String(rejected) !== String(bad))
    throw new Error(`Kafka rejected the records ${rejected} instead of record ${bad}`)
  stage.recordFault()
  await deliver(stage, 3)
}
