import type { Cluster, PartitionLeaders } from './cluster.ts'
import { type Broker, protocol, type RecordsBatch } from './internals.ts'
import { listOffsets, throwFirstError } from './offsets.ts'

/**
 * The value for "none" in Kafka's epoch fields: the broker skips the check of the leader's epoch,
 * and opens no fetch session.
 */
const NO_EPOCH = -1
const READ_UNCOMMITTED = 0
const NO_SESSION = 0
const MIN_BYTES = 1

/** The next offset to fetch of a partition. */
export type FetchPosition = { topic: string; partition: number; nextOffset: number }
export type FetchedPartition = {
  topic: string
  partition: number
  errorCode: number
  batches: readonly RecordsBatch[]
}

/**
 * Fetches from partitions of one leader. Brokers return whole batches, so the first batch may begin
 * before the position. The leader waits up to `waitMs` for records. Where `responseMaxBytes` is not
 * enough for all partitions, the first positions are served first. Rejects when no response
 * arrives, and with a ProtocolError when the response as a whole has an error code.
 */
export async function fetchBatches(
  cluster: Cluster,
  leader: Broker,
  positions: readonly FetchPosition[],
  limits: { waitMs: number; responseMaxBytes: number; partitionMaxBytes: number },
): Promise<FetchedPartition[]> {
  const { waitMs, responseMaxBytes, partitionMaxBytes } = limits
  // One entry per partition keeps the order. In this protocol version topicId contains the topic's
  // name.
  const requested = positions.map(({ topic, partition, nextOffset }) => ({
    topicId: topic,
    partitions: [
      {
        partition,
        fetchOffset: BigInt(nextOffset),
        partitionMaxBytes,
        currentLeaderEpoch: NO_EPOCH,
        lastFetchedEpoch: NO_EPOCH,
      },
    ],
  }))
  const session = [NO_SESSION, NO_EPOCH] as const
  const response = await cluster.ask(leader, connection =>
    protocol.fetch.async(
      connection,
      waitMs,
      MIN_BYTES,
      responseMaxBytes,
      READ_UNCOMMITTED,
      ...session,
      requested,
      [],
      '',
    ),
  )
  throwFirstError([response])
  return response.responses.flatMap(({ topicId: topic, partitions }) =>
    partitions.map(({ partitionIndex: partition, errorCode, records }) => ({
      topic,
      partition,
      errorCode,
      batches: records ?? [],
    })),
  )
}

/** The first offset that Kafka still has, if that is after the position; otherwise null. */
export async function firstOffsetAfterDeletion(
  cluster: Cluster,
  leaders: PartitionLeaders,
  { topic, partition, nextOffset }: FetchPosition,
): Promise<number | null> {
  const earliest = await listOffsets(cluster, leaders, topic, 'earliest', [partition])
  const begin = earliest.get(partition)!
  return begin > nextOffset ? begin : null
}
