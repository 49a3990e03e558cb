import { type Broker, fetchV11, type RecordsBatch } from '@platformatic/kafka'
import type { Cluster, PartitionLeaders } from './cluster.ts'
import { listOffsets, throwFirstError } from './offsets.ts'

export const OFFSET_OUT_OF_RANGE = 1
/** Kafka's "never mind" where it asks for an epoch. */
const ANY = -1
const READ_UNCOMMITTED = 0
const NO_SESSION = 0

/** What is to be read next. */
export type FetchPosition = { topic: string; partition: number; next: number }
export type FetchedPartition = {
  topic: string
  partition: number
  errorCode: number
  batches: readonly RecordsBatch[]
}

/**
 * What their leader gives from these places on: whole batches, so the first may begin earlier. It
 * waits for something to give; where bytes are short, the first places have it. Rejects when there
 * is no answer.
 */
export async function fetchBatches(
  cluster: Cluster,
  leader: Broker,
  places: readonly FetchPosition[],
  limits: { waitMs: number; answerMaxBytes: number; partitionMaxBytes: number },
): Promise<FetchedPartition[]> {
  const { waitMs, answerMaxBytes, partitionMaxBytes } = limits
  // One entry each, so that they stay in this order. In this version a topic goes by its name.
  const wanted = places.map(({ topic, partition, next }) => ({
    topicId: topic,
    partitions: [
      {
        partition,
        fetchOffset: BigInt(next),
        partitionMaxBytes,
        currentLeaderEpoch: ANY,
        lastFetchedEpoch: ANY,
      },
    ],
  }))
  const session = [NO_SESSION, ANY] as const
  const answer = await cluster.ask(leader, via =>
    fetchV11.api.async(
      via,
      waitMs,
      1,
      answerMaxBytes,
      READ_UNCOMMITTED,
      ...session,
      wanted,
      [],
      '',
    ),
  )
  throwFirstError([answer])
  return answer.responses.flatMap(({ topicId: topic, partitions }) =>
    partitions.map(({ partitionIndex: partition, errorCode, records }) => ({
      topic,
      partition,
      errorCode,
      batches: records ?? [],
    })),
  )
}

/** Where what Kafka still has of a partition begins, if that is behind what was to be read next. */
export async function firstOffsetAfterDeletion(
  cluster: Cluster,
  leaders: PartitionLeaders,
  { topic, partition, next }: FetchPosition,
): Promise<number | null> {
  const begins = await listOffsets(cluster, leaders, topic, 'earliest', [partition])
  const begin = begins.get(partition)!
  return begin > next ? begin : null
}
