import { ErrorCode } from '../error-codes.ts'
import type { Cluster, PartitionLeaders } from './cluster.ts'
import { type Broker, ProtocolError, protocol } from './internals.ts'

/** The broker then skips the check of the leader epoch. */
const ANY_EPOCH = -1
/** The replica id of a client that is no broker. */
const NO_REPLICA = -1
const READ_UNCOMMITTED = 0
/** Kafka's special timestamps for the first offset, and for the offset after the last record. */
const TIMESTAMPS = { earliest: -2n, latest: -1n }

/**
 * The earliest or latest offset of partitions (default: all), in ascending order of the partitions.
 * Rejects with a ProtocolError when a partition has no leader, or when a broker does not know yet
 * that it leads a partition.
 */
export async function listOffsets(
  cluster: Cluster,
  leaders: PartitionLeaders,
  topic: string,
  position: keyof typeof TIMESTAMPS,
  partitions = Array.from({ length: leaders.count }, (_, partition) => partition),
): Promise<Map<number, number>> {
  const requests = [...groupByLeader(leaders, partitions)].map(async ([leader, ownPartitions]) => {
    const timestamp = TIMESTAMPS[position]
    const requested = ownPartitions.map(partitionIndex => ({
      partitionIndex,
      currentLeaderEpoch: ANY_EPOCH,
      timestamp,
    }))
    const topics = [{ name: topic, partitions: requested }]
    const response = await cluster.ask(leader, connection =>
      protocol.listOffsets.async(connection, NO_REPLICA, READ_UNCOMMITTED, topics),
    )
    const offsets = response.topics.flatMap(topicResponse => topicResponse.partitions)
    throwFirstError(offsets)
    return offsets.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)] as const)
  })
  const offsets = (await Promise.all(requests)).flat()
  return new Map(offsets.sort(([a], [b]) => a - b))
}

/**
 * Groups partitions by their leaders. Throws LEADER_NOT_AVAILABLE when a partition has no leader.
 */
export function groupByLeader(
  leaders: PartitionLeaders,
  partitions: number[],
): Map<Broker, number[]> {
  const groups = Map.groupBy(partitions, leaders.of)
  if (groups.has(null)) throw new ProtocolError(ErrorCode.LEADER_NOT_AVAILABLE)
  return groups as Map<Broker, number[]>
}

/** Throws the first error code among these responses as a ProtocolError. */
export function throwFirstError(responses: { errorCode: number }[]): void {
  const failed = responses.find(({ errorCode }) => errorCode !== ErrorCode.NONE)
  if (failed) throw new ProtocolError(failed.errorCode)
}
