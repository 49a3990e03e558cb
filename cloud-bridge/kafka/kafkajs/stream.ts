import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IHeaders } from 'kafkajs'
import type { EventStream, Offsets, ReadRecord, TopicOffsets } from '../../ports/event-stream.ts'
import type { KafkaOptions } from '../client.ts'
import { createKafkajs } from './configuration.ts'

const ATTEMPTS = 10
const RETRY_MS = 300
/** So many in a row, and it is not passing. */
const CRASHES = 3

export function createEventStream(options: KafkaOptions): EventStream {
  return {
    topicOffsets: topics => stretchesOf(options, topics),
    readBetween: (topic, from, to, onRecord) => readBetween(options, topic, from, to, onRecord),
  }
}

async function stretchesOf(
  options: KafkaOptions,
  topics: readonly string[],
): Promise<Map<string, TopicOffsets>> {
  const admin = createKafkajs(options).admin()
  try {
    await admin.connect()
    const existing = new Set(await admin.listTopics())
    const found = new Map<string, TopicOffsets>()
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

/** With a group of its own, of which nothing stays. */
async function readBetween(
  options: KafkaOptions,
  topic: string,
  from: Offsets,
  to: Offsets,
  onRecord: (record: ReadRecord) => void,
): Promise<void> {
  const next = await nextOf(options, topic, from, to)
  const left = new Map([...to].filter(([partition, end]) => end > next.get(partition)!))
  if (left.size === 0) return
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
        if (!payload.restart || ++crashes === CRASHES) reject(payload.error)
      })
      const eachBatch = async ({ batch }: { batch: Batch }) => {
        crashes = 0
        const { partition, messages } = batch
        // A consumer that starts again reads again what it had, and a batch may go beyond the end.
        const [begin, end] = [next.get(partition) ?? 0, left.get(partition) ?? 0]
        for (const message of messages) {
          const offset = Number(message.offset)
          if (offset >= begin && offset < end && message.value) {
            onRecord(toReadRecord(message, partition))
          }
        }
        const last = messages.at(-1)
        if (last) next.set(partition, Math.max(begin, Number(last.offset) + 1))
        if ((next.get(partition) ?? 0) >= end) left.delete(partition)
        if (left.size === 0) resolve()
      }
      consumer.run({ autoCommit: false, eachBatch }).catch(reject)
      for (const [partition] of left) {
        consumer.seek({ topic, partition, offset: String(next.get(partition)) })
      }
    })
  } finally {
    await consumer.disconnect().catch(() => {})
  }
}

/** Where to begin in each partition: before there is nothing any more, or it was not asked for. */
async function nextOf(
  options: KafkaOptions,
  topic: string,
  from: Offsets,
  to: Offsets,
): Promise<Map<number, number>> {
  const wanted = [...to].filter(([partition, end]) => end > (from.get(partition) ?? 0))
  const next = new Map([...to.keys()].map(partition => [partition, from.get(partition) ?? 0]))
  if (wanted.length === 0) return next
  const admin = createKafkajs(options).admin()
  try {
    await admin.connect()
    for (const { partition, low } of await retried(() => admin.fetchTopicOffsets(topic))) {
      next.set(partition, Math.max(next.get(partition) ?? 0, Number(low)))
    }
    return next
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

/** A message as consumers get it; it has a value. */
export function toReadRecord(
  { offset, timestamp, key, value, headers }: Message,
  partition: number,
) {
  const appendTimeMs = Number(timestamp)
  const record = { partition, offset: Number(offset), appendTimeMs, key, value: value! }
  return { ...record, headers: headersOf(headers ?? {}) }
}

function headersOf(headers: IHeaders): ReadRecord['headers'] {
  const last = Object.entries(headers).map(([name, value]) => [name, [value].flat().at(-1)])
  return Object.fromEntries(last.filter(([, value]) => Buffer.isBuffer(value)))
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
  headers?: IHeaders | undefined
}
type Batch = { partition: number; messages: Message[] }
