import kafkajs, { type Batch, type Consumer, type PartitionAssigner } from 'kafkajs'
import { pause } from '../../../config/process/pause.ts'
import type { ConsumerGroup, Membership } from '../../ports/consumer-group.ts'
import type { Assignment, PartitionQueue } from '../assignment.ts'
import type { KafkaOptions } from '../client.ts'
import { assignPartitions } from '../co-partitioning.ts'
import {
  ASSIGNER_NAME,
  COMMIT_INTERVAL_MS,
  createConsumerGroup,
  FETCH_MAX_WAIT_MS,
  heartbeatIntervalMs,
  PARTITION_MAX_BYTES,
  RESPONSE_MAX_BYTES,
  type RunMember,
} from '../group.ts'
import { createKafkajs } from './configuration.ts'
import { createEventStream, toReadRecord } from './stream.ts'

const { AssignerProtocol } = kafkajs

/** Practically no limit: all fetched partitions are processed concurrently. */
const MAX_CONCURRENT_PARTITIONS = 1000
/**
 * A partition whose queue is full for longer is paused, so that kafkajs continues to fetch the
 * other partitions.
 */
const PAUSE_AFTER_MS = 200
const LEAVE_MAX_MS = 5000
/**
 * After this many sessions without a heartbeat the membership ends. One session alone may pass
 * while a join waits until an unresponsive member has expired.
 */
const MAX_SILENT_SESSIONS = 2

/** Consumer groups over the consumer of kafkajs. */
export function createGroup(options: KafkaOptions): ConsumerGroup {
  return createConsumerGroup(
    createEventStream(options),
    options,
    membership => (onRebalance, signal) => runMember(options, membership, onRebalance, signal),
  )
}

async function runMember(
  options: KafkaOptions,
  { groupId, topics, sessionMs }: Membership,
  onRebalance: Parameters<RunMember>[0],
  signal: AbortSignal,
): Promise<void> {
  const ended = Promise.withResolvers<void>()
  const onAbort = () => ended.resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  const consumer = createKafkajs(options).consumer({
    groupId,
    partitionAssigners: [coPartitioningAssigner],
    sessionTimeout: sessionMs,
    rebalanceTimeout: sessionMs,
    heartbeatInterval: heartbeatIntervalMs(sessionMs),
    maxWaitTimeInMs: FETCH_MAX_WAIT_MS,
    maxBytesPerPartition: PARTITION_MAX_BYTES,
    maxBytes: RESPONSE_MAX_BYTES,
    allowAutoTopicCreation: false,
    // The caller reports why this consumer ended, and creates a new consumer.
    retry: { restartOnFailure: async () => false },
  })
  const maxSilenceMs = MAX_SILENT_SESSIONS * sessionMs
  const silence = setTimeout(
    () => ended.reject(new Error(`group ${groupId}: no heartbeat for ${maxSilenceMs} ms`)),
    maxSilenceMs,
  )
  consumer.on('consumer.crash', ({ payload }) => ended.reject(payload.error))
  consumer.on('consumer.heartbeat', () => silence.refresh())
  let reader: AssignmentReader | null = null
  consumer.on('consumer.group_join', ({ payload }) => {
    silence.refresh()
    const assignment = onRebalance(payload.memberAssignment[topics[0]!] ?? [])
    reader = readAssignment(consumer, topics, assignment)
    reader.started.catch(error => assignment.signal.aborted || ended.reject(error))
  })
  const commit = () =>
    reader?.assignment
      .commit(processed =>
        consumer.commitOffsets(
          processed.map(({ offset, ...position }) => ({ ...position, offset: String(offset) })),
        ),
      )
      .catch(() => {})
  const commitTimer = setInterval(commit, COMMIT_INTERVAL_MS)
  const run = async () => {
    await consumer.connect()
    await consumer.subscribe({ topics: [...topics], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: MAX_CONCURRENT_PARTITIONS,
      eachBatch: async ({ batch, resolveOffset, pause: pausePartition }) =>
        reader?.enqueue(batch, resolveOffset, pausePartition),
    })
  }
  try {
    run().catch(ended.reject)
    await ended.promise
    await waitAtMost(LEAVE_MAX_MS, commit())
  } finally {
    signal.removeEventListener('abort', onAbort)
    clearTimeout(silence)
    clearInterval(commitTimer)
    await waitAtMost(LEAVE_MAX_MS, consumer.disconnect())
  }
}

type AssignmentReader = ReturnType<typeof readAssignment>

/** Reads an assignment. All partitions are paused until their start offsets are known. */
function readAssignment(consumer: Consumer, topics: readonly string[], assignment: Assignment) {
  const { partitions, signal } = assignment
  let queues: readonly PartitionQueue[] = []
  consumer.pause(topics.map(topic => ({ topic, partitions: [...partitions] })))
  const start = async () => {
    const all = await assignment.queues
    if (signal.aborted) return
    for (const { topic, partition, nextOffset } of all) {
      consumer.seek({ topic, partition, offset: String(nextOffset) })
      consumer.resume([{ topic, partitions: [partition] }])
    }
    // `enqueue` ignores batches from other offsets that kafkajs fetched before the seek.
    await new Promise(resolve => setImmediate(resolve))
    queues = all
  }
  return {
    assignment,
    started: start(),
    async enqueue(
      batch: Batch,
      resolveOffset: (last: string) => void,
      pausePartition: () => () => void,
    ) {
      const queue = queues.find(
        ({ topic, partition }) => topic === batch.topic && partition === batch.partition,
      )
      if (!queue || signal.aborted) return
      const messages = batch.messages.filter(({ value }) => value)
      const records = messages.map(message => toReadRecord(message, batch.partition))
      const first = Number(batch.messages[0]?.offset ?? queue.nextOffset)
      queue.enqueue(records, first, Number(batch.lastOffset()) + 1)
      resolveOffset(String(queue.nextOffset - 1))
      const pauseAtMs = performance.now() + PAUSE_AFTER_MS
      while (!queue.hasRoom && !signal.aborted) {
        const leftMs = pauseAtMs - performance.now()
        if (leftMs <= 0) break
        await waitAtMost(leftMs, assignment.waitForRoom())
      }
      if (!queue.hasRoom && !signal.aborted)
        void resumeWithRoom(queue, assignment, pausePartition())
    },
  }
}

async function resumeWithRoom(
  queue: PartitionQueue,
  assignment: Assignment,
  resume: () => void,
): Promise<void> {
  while (!queue.hasRoom && !assignment.signal.aborted) await assignment.waitForRoom()
  if (!assignment.signal.aborted) resume()
}

/** Waits until the work ends, whether it succeeds or fails, but at most `ms`. */
async function waitAtMost(ms: number, work: Promise<unknown> | undefined): Promise<void> {
  const ended = new AbortController()
  await Promise.race([work, pause(ms, ended.signal)]).catch(() => {})
  ended.abort()
}

const coPartitioningAssigner: PartitionAssigner = ({ cluster }) => ({
  name: ASSIGNER_NAME,
  version: 0,
  async assign({ members, topics }) {
    const counts = topics.map(topic => cluster.findTopicPartitionMetadata(topic).length)
    const ids = members.map(({ memberId }) => memberId)
    return [...assignPartitions(ids, Math.min(...counts))].map(([memberId, partitions]) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({
        version: 0,
        assignment: Object.fromEntries(topics.map(topic => [topic, partitions])),
        userData: Buffer.alloc(0),
      }),
    }))
  },
  protocol: ({ topics }) => ({
    name: ASSIGNER_NAME,
    metadata: AssignerProtocol.MemberMetadata.encode({
      version: 0,
      topics,
      userData: Buffer.alloc(0),
    }),
  }),
})
