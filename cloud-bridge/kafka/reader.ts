import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KafkaOptions, kafkaClient } from './client.ts'

const ATTEMPTS = 10
const RETRY_MS = 300

/** A partition's offset each. */
export type Offsets = ReadonlyMap<number, number>

export type ReadRecord = {
  partition: number
  offset: number
  /** Ms since 1970: when Kafka got it, where the topic has LogAppendTime; else when it was sent. */
  heardAt: number
  key: Buffer | null
  value: Buffer
}

/** Where each partition of a topic ends now. Rejects while Kafka is away or has no such topic. */
export async function endOffsets(options: KafkaOptions, topic: string): Promise<Offsets> {
  const admin = kafkaClient(options).admin()
  try {
    await admin.connect()
    const ends = await retried(() => admin.fetchTopicOffsets(topic))
    return new Map(ends.map(({ partition, high }) => [partition, Number(high)]))
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

/** Where each partition of a topic begins, because Kafka deletes what is old, and ends. */
export type Stretch = { begin: Offsets; end: Offsets }

/**
 * Where topics begin and end, asked one after the other; those that Kafka does not have are left
 * out. Rejects while Kafka is away.
 */
export async function stretchesOf(
  options: KafkaOptions,
  topics: readonly string[],
): Promise<Map<string, Stretch>> {
  const admin = kafkaClient(options).admin()
  try {
    await admin.connect()
    const existing = new Set(await admin.listTopics())
    const found = new Map<string, Stretch>()
    for (const topic of topics.filter(name => existing.has(name))) {
      const offsets = await retried(() => admin.fetchTopicOffsets(topic))
      const begin = new Map(offsets.map(({ partition, low }) => [partition, Number(low)]))
      const end = new Map(offsets.map(({ partition, high }) => [partition, Number(high)]))
      found.set(topic, { begin, end })
    }
    return found
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

/**
 * Reads what stands in a topic between two sets of offsets, with a group of its own that leaves
 * nothing behind. Each partition comes in order. Resolves when every partition was read to its end.
 */
export async function readBetween(
  options: KafkaOptions,
  topic: string,
  from: Offsets,
  to: Offsets,
  onRecord: (record: ReadRecord) => void,
): Promise<void> {
  const left = new Map([...to].filter(([partition, end]) => end > (from.get(partition) ?? 0)))
  const next = new Map(from)
  if (left.size === 0) return
  const consumer = kafkaClient(options).consumer({
    groupId: `sluice-reader-${randomUUID()}`,
    maxWaitTimeInMs: 200,
    allowAutoTopicCreation: false,
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => {
        if (!payload.restart) reject(payload.error)
      })
      const eachBatch = async ({
        batch,
      }: {
        batch: { partition: number; messages: Message[] }
      }) => {
        const { partition, messages } = batch
        for (const { offset: at, timestamp, key, value } of messages) {
          const offset = Number(at)
          // A consumer that starts again reads again what it had.
          if (offset < (next.get(partition) ?? 0)) continue
          next.set(partition, offset + 1)
          if (value) onRecord({ partition, offset, heardAt: Number(timestamp), key, value })
        }
        const end = left.get(partition)
        if (end !== undefined && (next.get(partition) ?? 0) >= end) left.delete(partition)
        if (left.size === 0) resolve()
      }
      consumer.run({ autoCommit: false, eachBatch }).catch(reject)
      for (const [partition] of left) {
        consumer.seek({ topic, partition, offset: String(from.get(partition) ?? 0) })
      }
    })
  } finally {
    await consumer.disconnect().catch(() => {})
  }
}

/** Right after a topic was created, its leaders may not know of it yet. */
async function retried<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      const isPassing = (error as { retriable?: boolean }).retriable === true
      if (!isPassing || attempt === ATTEMPTS) throw error
      await sleep(RETRY_MS)
    }
  }
}

type Message = {
  offset: string
  timestamp: string
  key: Buffer | null
  value: Buffer | null
}
