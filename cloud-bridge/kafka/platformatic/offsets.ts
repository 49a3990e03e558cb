import { type Broker, listOffsetsV5, ProtocolError } from '@platformatic/kafka'
import type { Cluster, PartitionLeaders } from './cluster.ts'

const LEADER_NOT_AVAILABLE = 5
/** Kafka's "never mind" where it asks for an epoch, and for a replica's id of who is none. */
const ANY_EPOCH = -1
const NO_REPLICA = -1
const READ_UNCOMMITTED = 0
/** What Kafka calls a partition's ends, where it asks for a time. */
const TIMES = { earliest: -2n, latest: -1n }

/**
 * Where partitions (all, unless given) begin or end, in their order. Rejects with a ProtocolError
 * when one has no leader, or its leader does not know yet that it is.
 */
export async function listOffsets(
  cluster: Cluster,
  leaders: PartitionLeaders,
  topic: string,
  which: keyof typeof TIMES,
  partitions = Array.from({ length: leaders.count }, (_, partition) => partition),
): Promise<Map<number, number>> {
  const asking = [...groupByLeader(leaders, partitions)].map(async ([leader, led]) => {
    const timestamp = TIMES[which]
    const wanted = led.map(partitionIndex => ({
      partitionIndex,
      currentLeaderEpoch: ANY_EPOCH,
      timestamp,
    }))
    const topics = [{ name: topic, partitions: wanted }]
    const answer = await cluster.ask(leader, via =>
      listOffsetsV5.api.async(via, NO_REPLICA, READ_UNCOMMITTED, topics),
    )
    const offsets = answer.topics.flatMap(one => one.partitions)
    throwFirstError(offsets)
    return offsets.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)] as const)
  })
  const found = (await Promise.all(asking)).flat()
  return new Map(found.sort(([a], [b]) => a - b))
}

/** Which broker is to be asked about which partitions. Throws when one has no leader. */
export function groupByLeader(
  leaders: PartitionLeaders,
  partitions: number[],
): Map<Broker, number[]> {
  const groups = Map.groupBy(partitions, leaders.of)
  if (groups.has(null)) throw new ProtocolError(LEADER_NOT_AVAILABLE)
  return groups as Map<Broker, number[]>
}

/** Throws what the first of these answers that is none says. */
export function throwFirstError(answers: { errorCode: number }[]): void {
  const failed = answers.find(({ errorCode }) => errorCode !== 0)
  if (failed) throw new ProtocolError(failed.errorCode)
}
