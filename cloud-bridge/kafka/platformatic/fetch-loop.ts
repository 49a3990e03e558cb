import { type Broker, ProtocolError } from '@platformatic/kafka'
import { pause } from '../../../config/process/pause.ts'
import type { Assignment, PartitionQueue } from '../assignment.ts'
import { describeError, isNotAuthorized } from '../errors.ts'
import { FETCH_MAX_WAIT_MS, PARTITION_MAX_BYTES, RESPONSE_MAX_BYTES } from '../group.ts'
import { type Cluster, isRetriable, type PartitionLeaders } from './cluster.ts'
import {
  type FetchedPartition,
  fetchBatches,
  firstOffsetAfterDeletion,
  OFFSET_OUT_OF_RANGE,
} from './fetch-request.ts'
import { decodeRecords, endOffsetOf } from './records.ts'

/** While something is worked on, a broker must not keep us from reading behind it. */
const WAIT_WHILE_BUSY_MS = 10
/** Who leads what is asked anew so often, if nothing went wrong. */
const LEADERS_MAX_AGE_MS = 60_000
const AGAIN_MS = 300

/**
 * Reads a share until it ends: from each broker all that it leads and that has room, in one request
 * at a time. What goes wrong is told and tried again; rejects when we may not read.
 */
export async function readAssignment(
  cluster: Cluster,
  topics: readonly string[],
  share: Assignment,
  onTrouble: (reason: string) => void,
): Promise<void> {
  const lanes = await share.queues
  while (!share.signal.aborted) {
    try {
      const leaders = new Map<string, PartitionLeaders>()
      for (const topic of topics) leaders.set(topic, await cluster.leadersOf(topic))
      await readRound(cluster, leaders, lanes, share)
    } catch (error) {
      if (share.signal.aborted) return
      if (isNotAuthorized(error)) throw error
      if (!isRetriable(error)) onTrouble(describeError(error))
      await pause(AGAIN_MS, share.signal)
    }
  }
}

/** Until what is known of leaders is old or wrong: with one of them all begin anew. */
async function readRound(
  cluster: Cluster,
  leaders: ReadonlyMap<string, PartitionLeaders>,
  lanes: readonly PartitionQueue[],
  share: Assignment,
): Promise<void> {
  const untilMs = performance.now() + LEADERS_MAX_AGE_MS
  const round = { isOver: false }
  const isOver = () => round.isOver || share.signal.aborted || performance.now() > untilMs
  const leaderOf = (lane: PartitionQueue) => leaders.get(lane.topic)!.of(lane.partition)
  // By its address: one broker is another object in each topic.
  const led = Map.groupBy(lanes, lane => addressOf(leaderOf(lane)))
  const readings = [...led.values()].map(async own => {
    const leader = leaderOf(own[0]!)
    try {
      // One without a leader has one soon; the others are read as long.
      if (leader) await readFrom(cluster, leader, leaders, own, share, isOver)
      else await pause(AGAIN_MS, share.signal)
    } finally {
      round.isOver = true
    }
  })
  const failed = (await Promise.allSettled(readings)).find(one => one.status === 'rejected')
  if (failed) throw failed.reason
}

const addressOf = (broker: Broker | null) => (broker ? `${broker.host}:${broker.port}` : null)

/** What this broker leads, in turn. */
async function readFrom(
  cluster: Cluster,
  leader: Broker,
  leaders: ReadonlyMap<string, PartitionLeaders>,
  own: readonly PartitionQueue[],
  share: Assignment,
  isOver: () => boolean,
): Promise<void> {
  let turns = [...own]
  while (!isOver()) {
    const open = turns.filter(lane => lane.hasRoom)
    if (open.length === 0) {
      await share.waitForRoom()
      continue
    }
    const waitMs = own.some(lane => lane.isBusy) ? WAIT_WHILE_BUSY_MS : FETCH_MAX_WAIT_MS
    const limits = {
      waitMs,
      answerMaxBytes: RESPONSE_MAX_BYTES,
      partitionMaxBytes: PARTITION_MAX_BYTES,
    }
    const served = new Set<PartitionQueue>()
    let failure: unknown = null
    for (const fetched of await fetchBatches(cluster, leader, open, limits)) {
      const lane = open.find(
        one => one.topic === fetched.topic && one.partition === fetched.partition,
      )!
      if (fetched.errorCode !== 0) {
        failure ??= await failureOf(cluster, leaders.get(lane.topic)!, lane, fetched)
      } else if (fetched.batches.length > 0) {
        served.add(lane)
        const records = fetched.batches.flatMap(batch => decodeRecords(batch, lane.partition))
        const first = Number(fetched.batches[0]!.firstOffset)
        lane.enqueue(records, first, endOffsetOf(fetched.batches.at(-1)!))
      }
    }
    // The first have the bytes: who had some goes to the end.
    turns = [...turns.filter(lane => !served.has(lane)), ...served]
    if (failure) throw failure
  }
}

/**
 * What an answer's error means; nothing when what was to come was deleted: then it goes on behind.
 */
async function failureOf(
  cluster: Cluster,
  leaders: PartitionLeaders,
  lane: PartitionQueue,
  { errorCode }: FetchedPartition,
): Promise<unknown> {
  if (errorCode === OFFSET_OUT_OF_RANGE) {
    const begin = await firstOffsetAfterDeletion(cluster, leaders, lane)
    if (begin !== null) {
      lane.enqueue([], begin, begin)
      return null
    }
  }
  return new ProtocolError(errorCode)
}
