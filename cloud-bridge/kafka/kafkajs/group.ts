import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Batch, type Consumer, type PartitionAssigner } from 'kafkajs'
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

/** No limit: each partition that was read is worked on. */
const AT_ONCE_MAX = 1000
/** A partition whose work takes longer is paused, so that the others go on. */
const PATIENCE_MS = 200
const LEAVE_MAX_MS = 5000
/** A join may take one: until who does not answer is taken for dead. */
const SILENT_SESSIONS = 2

/** Consumer groups through kafkajs: its membership and its reading. */
export function createGroup(options: KafkaOptions): ConsumerGroup {
  return createConsumerGroup(
    createEventStream(options),
    membership => (begin, signal) => beMember(options, membership, begin, signal),
  )
}

async function beMember(
  options: KafkaOptions,
  { groupId, topics, sessionMs }: Membership,
  begin: Parameters<RunMember>[0],
  signal: AbortSignal,
): Promise<void> {
  const ended = Promise.withResolvers<void>()
  const onAbort = () => ended.resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  const consumer = createKafkajs(options).consumer({
    groupId,
    partitionAssigners: [together],
    sessionTimeout: sessionMs,
    rebalanceTimeout: sessionMs,
    heartbeatInterval: heartbeatIntervalMs(sessionMs),
    maxWaitTimeInMs: FETCH_MAX_WAIT_MS,
    maxBytesPerPartition: PARTITION_MAX_BYTES,
    maxBytes: RESPONSE_MAX_BYTES,
    allowAutoTopicCreation: false,
    // A new consumer is begun when this one has ended, and why is told.
    retry: { restartOnFailure: async () => false },
  })
  const silentMs = SILENT_SESSIONS * sessionMs
  const silence = setTimeout(
    () => ended.reject(new Error(`no heartbeat for ${silentMs} ms`)),
    silentMs,
  )
  consumer.on('consumer.crash', ({ payload }) => ended.reject(payload.error))
  consumer.on('consumer.heartbeat', () => silence.refresh())
  let reading: Reading | null = null
  consumer.on('consumer.group_join', ({ payload }) => {
    silence.refresh()
    const share = begin(payload.memberAssignment[topics[0]!] ?? [])
    reading = startReading(consumer, topics, share)
    reading.begun.catch(error => share.signal.aborted || ended.reject(error))
  })
  const commit = () =>
    reading?.share
      .commit(done =>
        consumer.commitOffsets(done.map(one => ({ ...one, offset: String(one.offset) }))),
      )
      .catch(() => {})
  const committing = setInterval(commit, COMMIT_INTERVAL_MS)
  const start = async () => {
    await consumer.connect()
    await consumer.subscribe({ topics: [...topics], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: AT_ONCE_MAX,
      eachBatch: async ({ batch, resolveOffset, pause }) =>
        reading?.take(batch, resolveOffset, pause),
    })
  }
  try {
    start().catch(ended.reject)
    await ended.promise
    await within(LEAVE_MAX_MS, commit())
  } finally {
    signal.removeEventListener('abort', onAbort)
    clearTimeout(silence)
    clearInterval(committing)
    await within(LEAVE_MAX_MS, consumer.disconnect())
  }
}

type Reading = ReturnType<typeof startReading>

/** Reads a share: nothing until the work has said where to go on. */
function startReading(consumer: Consumer, topics: readonly string[], share: Assignment) {
  const { partitions, signal } = share
  let lanes: readonly PartitionQueue[] = []
  consumer.pause(topics.map(topic => ({ topic, partitions: [...partitions] })))
  const begin = async () => {
    const all = await share.queues
    if (signal.aborted) return
    for (const { topic, partition, next } of all) {
      consumer.seek({ topic, partition, offset: String(next) })
      consumer.resume([{ topic, partitions: [partition] }])
    }
    // What was read from elsewhere, and is on its way to `take`, is not taken.
    await new Promise(resolve => setImmediate(resolve))
    lanes = all
  }
  return {
    share,
    begun: begin(),
    async take(batch: Batch, resolveOffset: (last: string) => void, pause: () => () => void) {
      const lane = lanes.find(one => one.topic === batch.topic && one.partition === batch.partition)
      if (!lane || signal.aborted) return
      const messages = batch.messages.filter(({ value }) => value)
      const records = messages.map(message => toReadRecord(message, batch.partition))
      const first = Number(batch.messages[0]?.offset ?? lane.next)
      lane.enqueue(records, first, Number(batch.lastOffset()) + 1)
      resolveOffset(String(lane.next - 1))
      const patientUntilMs = performance.now() + PATIENCE_MS
      while (!lane.hasRoom && !signal.aborted) {
        const leftMs = patientUntilMs - performance.now()
        if (leftMs <= 0) break
        await within(leftMs, share.waitForRoom())
      }
      if (!lane.hasRoom && !signal.aborted) void resumeLater(lane, share, pause())
    },
  }
}

async function resumeLater(
  lane: PartitionQueue,
  share: Assignment,
  resume: () => void,
): Promise<void> {
  while (!lane.hasRoom && !share.signal.aborted) await share.waitForRoom()
  if (!share.signal.aborted) resume()
}

/** Until it is over, well or not, or so long. */
async function within(ms: number, work: Promise<unknown> | undefined): Promise<void> {
  const ending = new AbortController()
  const late = sleep(ms, undefined, { signal: ending.signal })
  await Promise.race([work, late]).catch(() => {})
  ending.abort()
  await late.catch(() => {})
}

const together: PartitionAssigner = ({ cluster }) => ({
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
