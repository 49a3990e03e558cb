import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventStream, Offsets, ReadRecord, Stretch } from '../../event-stream.ts'
import type { KafkaOptions } from '../client.ts'
import { configuredKafka } from './configured.ts'

const ATTEMPTS = 10
const RETRY_MS = 300

export function openStream(options: KafkaOptions): EventStream {
  return {
    stretchesOf: topics => stretchesOf(options, topics),
    readBetween: (topic, from, to, onRecord) => readBetween(options, topic, from, to, onRecord),
  }
}

async function stretchesOf(
  options: KafkaOptions,
  topics: readonly string[],
): Promise<Map<string, Stretch>> {
  const admin = configuredKafka(options).admin()
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

/** With a group of its own, of which nothing stays. */
async function readBetween(
  options: KafkaOptions,
  topic: string,
  from: Offsets,
  to: Offsets,
  onRecord: (record: ReadRecord) => void,
): Promise<void> {
  const left = new Map([...to].filter(([partition, end]) => end > (from.get(partition) ?? 0)))
  const next = new Map(from)
  if (left.size === 0) return
  const consumer = configuredKafka(options).consumer({
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
      const eachBatch = async ({ batch: { partition, messages } }: Batch) => {
        for (const { offset: at, timestamp, key, value, headers } of messages) {
          const offset = Number(at)
          // A consumer that starts again reads again what it had.
          if (offset < (next.get(partition) ?? 0)) continue
          next.set(partition, offset + 1)
          const heardAt = Number(timestamp)
          if (value)
            onRecord({ partition, offset, heardAt, key, value, headers: headers as Headers })
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
  headers?: object | undefined
}
type Headers = ReadRecord['headers']
type Batch = { batch: { partition: number; messages: Message[] } }
