import { setTimeout as sleep } from 'node:timers/promises'
import type { Broker } from '@platformatic/kafka'
import type { EventStream, Offsets, ReadRecord, TopicOffsets } from '../../ports/event-stream.ts'
import type { KafkaOptions } from '../client.ts'
import { brokerErrorCodes, isNoSuchTopic } from '../errors.ts'
import { type Cluster, isRetriable, openCluster } from './cluster.ts'
import { fetchBatches, firstOffsetAfterDeletion, OFFSET_OUT_OF_RANGE } from './fetch-request.ts'
import { groupByLeader, listOffsets, throwFirstError } from './offsets.ts'
import { decodeRecords, endOffsetOf } from './records.ts'

const ATTEMPTS = 10
const RETRY_MS = 300
const LIMITS = { waitMs: 200, answerMaxBytes: 10_000_000, partitionMaxBytes: 1_048_576 }
const TOPIC_AUTHORIZATION_FAILED = 29

export function createEventStream(options: KafkaOptions): EventStream {
  return {
    async topicOffsets(topics) {
      await using cluster = openCluster(options)
      const found = new Map<string, TopicOffsets>()
      for (const topic of topics) {
        const stretch = await retried(() => stretchOf(cluster, topic))
        if (stretch) found.set(topic, stretch)
      }
      return found
    },
    async readBetween(topic, from, to, onRecord) {
      await using cluster = openCluster(options)
      const reading: Reading = {
        next: new Map([...to.keys()].map(partition => [partition, from.get(partition) ?? 0])),
        to,
        onRecord,
      }
      while (partitionsLeft(reading).length > 0) {
        await retried(() => readOn(cluster, topic, reading))
      }
    },
  }
}

/** How far a topic was read, and how far it is to be. */
type Reading = {
  next: Map<number, number>
  to: Offsets
  onRecord: (record: ReadRecord) => void
}

function partitionsLeft({ next, to }: Reading): number[] {
  return [...to].flatMap(([partition, end]) => (next.get(partition)! < end ? [partition] : []))
}

/** Reads what each leader gives at once. */
async function readOn(cluster: Cluster, topic: string, reading: Reading): Promise<void> {
  const leaders = await cluster.leadersOf(topic)
  const { next, to, onRecord } = reading
  const readFrom = async (leader: Broker, partitions: number[]) => {
    const places = partitions.map(partition => ({ topic, partition, next: next.get(partition)! }))
    for (const { partition, errorCode, batches } of await fetchBatches(
      cluster,
      leader,
      places,
      LIMITS,
    )) {
      const from = next.get(partition)!
      if (errorCode === OFFSET_OUT_OF_RANGE) {
        // What was to be read first was deleted meanwhile: goes on with what is there.
        const begin = await firstOffsetAfterDeletion(cluster, leaders, {
          topic,
          partition,
          next: from,
        })
        if (begin !== null) next.set(partition, begin)
      }
      if (next.get(partition) === from) throwFirstError([{ errorCode }])
      for (const batch of batches) {
        for (const record of decodeRecords(batch, partition)) {
          if (record.offset >= from && record.offset < to.get(partition)!) onRecord(record)
        }
        next.set(partition, Math.max(from, endOffsetOf(batch)))
      }
    }
  }
  await Promise.all(
    [...groupByLeader(leaders, partitionsLeft(reading))].map(([leader, partitions]) =>
      readFrom(leader, partitions),
    ),
  )
}

async function stretchOf(cluster: Cluster, topic: string): Promise<TopicOffsets | null> {
  try {
    const leaders = await cluster.leadersOf(topic)
    const begin = await listOffsets(cluster, leaders, topic, 'earliest')
    return { begin, end: await listOffsets(cluster, leaders, topic, 'latest') }
  } catch (error) {
    if (isNoSuchTopic(error) || brokerErrorCodes(error).includes(TOPIC_AUTHORIZATION_FAILED))
      return null
    throw error
  }
}

/** Leaders change, and right after a topic was created they may not know of it yet. */
async function retried<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (!isRetriable(error) || attempt === ATTEMPTS) throw error
      await sleep(RETRY_MS)
    }
  }
}
