import { pause } from '../../../config/process/pause.ts'
import type { Assignment, PartitionQueue } from '../assignment.ts'
import { ErrorCode } from '../error-codes.ts'
import { isNotAuthorized } from '../errors.ts'
import { FETCH_MAX_WAIT_MS, PARTITION_MAX_BYTES, RESPONSE_MAX_BYTES } from '../group.ts'
import type { Cluster, PartitionLeaders } from './cluster.ts'
import { type FetchedPartition, fetchBatches, firstOffsetAfterDeletion } from './fetch-request.ts'
import { type Broker, isRetriable, ProtocolError } from './internals.ts'
import { decodeRecords, endOffsetOf } from './records.ts'

/**
 * The longest wait of a fetch while records are processed: a waiting fetch blocks the connection,
 * and a queue that gets room soon needs the connection.
 */
const WAIT_WHILE_BUSY_MS = 10
const LEADERS_MAX_AGE_MS = 60_000
const RETRY_MS = 300

/**
 * Fetches the records of an assignment until the assignment stops: one request at a time to each
 * broker, for all partitions that the broker leads and whose queues have room. Retries after an
 * error; reports the error to `onUnavailable`, except an error that an immediate retry usually
 * repairs, such as a change of leaders. Rejects when this user may not read.
 */
export async function readAssignment(
  cluster: Cluster,
  topics: readonly string[],
  assignment: Assignment,
  onUnavailable: (error: unknown) => void,
): Promise<void> {
  const { signal } = assignment
  const queues = await assignment.queues
  while (!signal.aborted) {
    try {
      const leaders = new Map<string, PartitionLeaders>()
      for (const topic of topics) leaders.set(topic, await cluster.leadersOf(topic))
      await readFromLeaders(cluster, leaders, queues, assignment)
    } catch (error) {
      if (signal.aborted) return
      if (isNotAuthorized(error)) throw error
      if (!isRetriable(error)) onUnavailable(error)
      await pause(RETRY_MS, signal)
    }
  }
}

/** Fetches from all leaders until the metadata is old, or until fetching from one leader ends. */
async function readFromLeaders(
  cluster: Cluster,
  leaders: ReadonlyMap<string, PartitionLeaders>,
  queues: readonly PartitionQueue[],
  assignment: Assignment,
): Promise<void> {
  const { signal } = assignment
  const expireAtMs = performance.now() + LEADERS_MAX_AGE_MS
  let hasEnded = false
  const isOver = () => hasEnded || signal.aborted || performance.now() > expireAtMs
  const leaderOf = (queue: PartitionQueue) => leaders.get(queue.topic)!.of(queue.partition)
  // Grouped by address, because each topic has its own object for the same broker.
  const byLeader = Map.groupBy(queues, queue => addressOf(leaderOf(queue)))
  const fetching = [...byLeader.values()].map(async ownQueues => {
    const leader = leaderOf(ownQueues[0]!)
    try {
      // A leader is elected soon; until then the other partitions are fetched.
      if (leader) await readFromLeader(cluster, leader, leaders, ownQueues, assignment, isOver)
      else await pause(RETRY_MS, signal)
    } finally {
      hasEnded = true
    }
  })
  const results = await Promise.allSettled(fetching)
  const failure = results.find(result => result.status === 'rejected')
  if (failure) throw failure.reason
}

const addressOf = (broker: Broker | null) => (broker ? `${broker.host}:${broker.port}` : null)

/**
 * Fetches the partitions of one leader; the partitions that got records go to the end of the order.
 */
async function readFromLeader(
  cluster: Cluster,
  leader: Broker,
  leaders: ReadonlyMap<string, PartitionLeaders>,
  ownQueues: readonly PartitionQueue[],
  assignment: Assignment,
  isOver: () => boolean,
): Promise<void> {
  let inOrder = [...ownQueues]
  while (!isOver()) {
    const withRoom = inOrder.filter(queue => queue.hasRoom)
    if (withRoom.length === 0) {
      await assignment.waitForRoom()
      continue
    }
    const isBusy = ownQueues.some(queue => queue.isBusy)
    const limits = {
      waitMs: isBusy ? WAIT_WHILE_BUSY_MS : FETCH_MAX_WAIT_MS,
      responseMaxBytes: RESPONSE_MAX_BYTES,
      partitionMaxBytes: PARTITION_MAX_BYTES,
    }
    const served = new Set<PartitionQueue>()
    let failure: unknown = null
    for (const fetched of await fetchBatches(cluster, leader, withRoom, limits)) {
      const { topic, partition, errorCode, batches } = fetched
      const queue = withRoom.find(
        candidate => candidate.topic === topic && candidate.partition === partition,
      )!
      if (errorCode !== ErrorCode.NONE) {
        failure ??= await handleError(cluster, leaders.get(topic)!, queue, fetched)
      } else if (batches.length > 0) {
        served.add(queue)
        const records = batches.flatMap(batch => decodeRecords(batch, partition))
        queue.enqueue(records, Number(batches[0]!.firstOffset), endOffsetOf(batches.at(-1)!))
      }
    }
    // The first positions of a request are served first.
    inOrder = [...inOrder.filter(queue => !served.has(queue)), ...served]
    if (failure) throw failure
  }
}

/**
 * The error of a fetched partition, or null where Kafka deleted the next records: the queue then
 * continues at the first offset that Kafka still has.
 */
async function handleError(
  cluster: Cluster,
  leaders: PartitionLeaders,
  queue: PartitionQueue,
  { errorCode }: FetchedPartition,
): Promise<unknown> {
  if (errorCode === ErrorCode.OFFSET_OUT_OF_RANGE) {
    const begin = await firstOffsetAfterDeletion(cluster, leaders, queue)
    if (begin !== null) {
      queue.enqueue([], begin, begin)
      return null
    }
  }
  return new ProtocolError(errorCode)
}
