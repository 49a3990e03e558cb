import { pause } from '../../../config/process/pause.ts'
import type { EventStream, Offsets, ReadRecord, TopicOffsets } from '../../ports/event-stream.ts'
import type { KafkaOptions } from '../client.ts'
import { ErrorCode } from '../error-codes.ts'
import { brokerErrorCodes, isNoSuchTopic } from '../errors.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { fetchBatches, firstOffsetAfterDeletion } from './fetch-request.ts'
import { type Broker, isRetriable } from './internals.ts'
import { groupByLeader, listOffsets, throwFirstError } from './offsets.ts'
import { decodeRecords, endOffsetOf } from './records.ts'

const MAX_ATTEMPTS = 10
const RETRY_MS = 300
const LIMITS = { waitMs: 200, responseMaxBytes: 10_000_000, partitionMaxBytes: 1_048_576 }

export function createEventStream(options: KafkaOptions): EventStream {
  return {
    async topicOffsets(topics) {
      await using cluster = openCluster(options)
      const offsetsByTopic = new Map<string, TopicOffsets>()
      for (const topic of topics) {
        const offsets = await retry(() => offsetsOf(cluster, topic))
        if (offsets) offsetsByTopic.set(topic, offsets)
      }
      return offsetsByTopic
    },
    async readBetween(topic, from, to, onRecord) {
      await using cluster = openCluster(options)
      const progress: ReadProgress = {
        next: new Map([...to.keys()].map(partition => [partition, from.get(partition) ?? 0])),
        to,
        onRecord,
      }
      while (unfinishedPartitions(progress).length > 0) {
        await retry(() => readOnce(cluster, topic, progress))
      }
    },
  }
}

/** The next offset to read of each partition, and the offset at which reading ends. */
type ReadProgress = {
  next: Map<number, number>
  to: Offsets
  onRecord: (record: ReadRecord) => void
}

function unfinishedPartitions({ next, to }: ReadProgress): number[] {
  return [...to].flatMap(([partition, end]) => (next.get(partition)! < end ? [partition] : []))
}

/** Sends one fetch to each leader of an unfinished partition, and reports the records. */
async function readOnce(cluster: Cluster, topic: string, progress: ReadProgress): Promise<void> {
  const leaders = await cluster.leadersOf(topic)
  const { next, to, onRecord } = progress
  const readFrom = async (leader: Broker, partitions: number[]) => {
    const positions = partitions.map(partition => {
      return { topic, partition, nextOffset: next.get(partition)! }
    })
    const fetched = await fetchBatches(cluster, leader, positions, LIMITS)
    for (const { partition, errorCode, batches } of fetched) {
      const from = next.get(partition)!
      if (errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
        // Kafka deleted the next records meanwhile: continue at the first offset that is left.
        const position = { topic, partition, nextOffset: from }
        const begin = await firstOffsetAfterDeletion(cluster, leaders, position)
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
    [...groupByLeader(leaders, unfinishedPartitions(progress))].map(([leader, partitions]) =>
      readFrom(leader, partitions),
    ),
  )
}

/** Null for a topic that does not exist or is not visible to this user. */
async function offsetsOf(cluster: Cluster, topic: string): Promise<TopicOffsets | null> {
  try {
    const leaders = await cluster.leadersOf(topic)
    const begin = await listOffsets(cluster, leaders, topic, 'earliest')
    return { begin, end: await listOffsets(cluster, leaders, topic, 'latest') }
  } catch (error) {
    const isNotVisible = brokerErrorCodes(error).includes(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    if (isNoSuchTopic(error) || isNotVisible) return null
    throw error
  }
}

/** Retries while leaders change; the leaders of a new topic may not know of the topic yet. */
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
