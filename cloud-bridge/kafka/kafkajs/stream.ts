import { randomUUID } from 'node:crypto'
import type { IHeaders } from 'kafkajs'
import { pause } from '../../../config/process/pause.ts'
import type { EventStream, Offsets, ReadRecord, TopicOffsets } from '../../ports/event-stream.ts'
import type { KafkaOptions } from '../client.ts'
import { createKafkajs } from './configuration.ts'
import { isRetriable } from './internals.ts'

const MAX_ATTEMPTS = 10
const RETRY_MS = 300
/** This many consumer crashes without a batch in between end the reading. */
const MAX_CRASHES = 3

export function createEventStream(options: KafkaOptions): EventStream {
  return {
    topicOffsets: topics => topicOffsets(options, topics),
    readBetween: (topic, from, to, onRecord) => readBetween(options, topic, from, to, onRecord),
  }
}

async function topicOffsets(
  options: KafkaOptions,
  topics: readonly string[],
): Promise<Map<string, TopicOffsets>> {
  const admin = createKafkajs(options).admin()
  try {
    await admin.connect()
    const existing = new Set(await admin.listTopics())
    const offsetsByTopic = new Map<string, TopicOffsets>()
    for (const topic of topics.filter(name => existing.has(name))) {
      const offsets = await retry(() => admin.fetchTopicOffsets(topic))
      const begin = new Map(offsets.map(({ partition, low }) => [partition, Number(low)]))
      const end = new Map(offsets.map(({ partition, high }) => [partition, Number(high)]))
      offsetsByTopic.set(topic, { begin, end })
    }
    return offsetsByTopic
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

/** Reads in a consumer group of its own that commits no offsets. */
async function readBetween(
  options: KafkaOptions,
  topic: string,
  from: Offsets,
  to: Offsets,
  onRecord: (record: ReadRecord) => void,
): Promise<void> {
  const next = await firstOffsets(options, topic, from, to)
  const unfinished = new Map([...to].filter(([partition, end]) => end > next.get(partition)!))
  if (unfinished.size === 0) return
  const consumer = createKafkajs(options).consumer({
    groupId: `sluice-reader-${randomUUID()}`,
    maxWaitTimeInMs: 200,
    allowAutoTopicCreation: false,
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      let crashes = 0
      consumer.on('consumer.crash', ({ payload }) => {
        if (!payload.restart || ++crashes === MAX_CRASHES) reject(payload.error)
      })
      const eachBatch = async ({ batch }: { batch: Batch }) => {
        crashes = 0
        const { partition, messages } = batch
        // A restarted consumer reads records a second time, and a batch may contain records after
        // the end.
        const [begin, end] = [next.get(partition) ?? 0, unfinished.get(partition) ?? 0]
        for (const message of messages) {
          const offset = Number(message.offset)
          if (offset >= begin && offset < end && message.value) {
            onRecord(toReadRecord(message, partition))
          }
        }
        const last = messages.at(-1)
        if (last) next.set(partition, Math.max(begin, Number(last.offset) + 1))
        if ((next.get(partition) ?? 0) >= end) unfinished.delete(partition)
        if (unfinished.size === 0) resolve()
      }
      consumer.run({ autoCommit: false, eachBatch }).catch(reject)
      for (const [partition] of unfinished) {
        consumer.seek({ topic, partition, offset: String(next.get(partition)) })
      }
    })
  } finally {
    await consumer.disconnect().catch(() => {})
  }
}

/** The offset to begin at in each partition: `from`, or the first offset that Kafka still has. */
async function firstOffsets(
  options: KafkaOptions,
  topic: string,
  from: Offsets,
  to: Offsets,
): Promise<Map<number, number>> {
  const isEmpty = [...to].every(([partition, end]) => end <= (from.get(partition) ?? 0))
  const next = new Map([...to.keys()].map(partition => [partition, from.get(partition) ?? 0]))
  if (isEmpty) return next
  const admin = createKafkajs(options).admin()
  try {
    await admin.connect()
    for (const { partition, low } of await retry(() => admin.fetchTopicOffsets(topic))) {
      next.set(partition, Math.max(next.get(partition) ?? 0, Number(low)))
    }
    return next
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

/** Converts a message of a kafkajs consumer. The message must have a value. */
export function toReadRecord(message: Message, partition: number): ReadRecord {
  const { offset, timestamp, key, value, headers } = message
  const appendTimeMs = Number(timestamp)
  const record = { partition, offset: Number(offset), appendTimeMs, key, value: value! }
  return { ...record, headers: lastHeaders(headers ?? {}) }
}

function lastHeaders(headers: IHeaders): ReadRecord['headers'] {
  const last = Object.entries(headers).map(([name, value]) => [name, [value].flat().at(-1)])
  return Object.fromEntries(last.filter(([, value]) => Buffer.isBuffer(value)))
}

/** Retries while the leaders of a new topic may not know of the topic yet. */
async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!isRetriable(error) || attempt === MAX_ATTEMPTS) throw error
      await pause(RETRY_MS)
    }
  }
}

type Message = {
  offset: string
  timestamp: string
  key: Buffer | null
  value: Buffer | null
  headers?: IHeaders | undefined
}
type Batch = { partition: number; messages: Message[] }
