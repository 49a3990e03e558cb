import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OutgoingRecord } from '../../cloud-bridge/ports/event-sink.ts'
import { addPartitions, alterTopic, createTopicWith } from '../setup/kafka/topic-settings.ts'
import { deliver, type Script } from './network-faults.ts'
import type { Stage } from './stage.ts'

/** How long Kafka stays as it is wrong. */
const WRONG_MS = 1000

/** A topic's settings, a topic that is not there yet, or one that has too few partitions. */
export type TopicSetup = { settings?: Record<string, string>; partitions?: number; missing?: true }

/** What Kafka says no to: for good, then the record is rejected; or for now, then it waits. */
export const refusals: Record<string, { ground: TopicSetup; script: Script }> = {
  'a message is too large': {
    ground: {},
    script: stage => rejectOne(stage, one => ({ ...one, value: randomBytes(1_100_000) })),
  },
  'a record is invalid (no key, compacted)': {
    ground: { settings: { 'cleanup.policy': 'compact' } },
    script: stage => rejectOne(stage, one => ({ ...one, key: null as unknown as Buffer })),
  },
  'a time is invalid (INVALID_TIMESTAMP)': {
    ground: {
      settings: {
        'message.timestamp.type': 'CreateTime',
        'message.timestamp.before.max.ms': '0',
        'message.timestamp.after.max.ms': '0',
      },
    },
    script: async (stage, on) => {
      const mended = mend(stage, () =>
        alterTopic(on.direct, stage.topic, { 'message.timestamp.type': 'LogAppendTime' }),
      )
      await deliver(stage, 3)
      await mended
    },
  },
  'an unknown topic, created later': {
    ground: { missing: true },
    script: async (stage, on) => {
      const mended = mend(stage, () =>
        createTopicWith(on.direct, { topic: stage.topic, partitions: 6 }),
      )
      await deliver(stage, 3)
      await mended
    },
  },
  'a partition that is not there, added later': {
    ground: { partitions: 2 },
    script: async (stage, on) => {
      const mended = mend(stage, () => addPartitions(on.direct, stage.topic, 6))
      await deliver(stage, 3)
      await mended
    },
  },
}

async function mend(stage: Stage, work: () => Promise<unknown>): Promise<void> {
  await sleep(WRONG_MS)
  await work()
  stage.hurt()
}

/** One record of a batch is made bad: it is rejected, and its neighbours are not. */
async function rejectOne(
  stage: Stage,
  spoil: (one: OutgoingRecord) => OutgoingRecord,
): Promise<void> {
  await stage.deliver()
  const { topic, records } = stage.nextBatch()
  const bad = 4
  const fates = await stage.deliver({
    topic,
    records: records.map((one, index) => (index === bad ? spoil(one) : one)),
  })
  const rejected = fates.flatMap((fate, index) => (fate === null ? [] : [index]))
  if (String(rejected) !== String(bad)) throw new Error(`rejected ${rejected}, bad was ${bad}`)
  stage.hurt()
  await deliver(stage, 3)
}
