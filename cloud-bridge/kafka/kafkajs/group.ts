import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Batch, type Consumer, type PartitionAssigner } from 'kafkajs'
import { CannotJoin, type ConsumerGroup, type Membership } from '../../consumer-group.ts'
import { sharedOut, unequal } from '../../consumers/runtime/together.ts'
import type { KafkaOptions } from '../client.ts'
import { isNotAllowed } from '../errors.ts'
import { configuredKafka } from './configured.ts'
import { openStream, recordOf } from './stream.ts'

const { AssignerProtocol } = kafkajs

const COMMIT_EVERY_MS = 5000
/** A heartbeat each third of a session, as Kafka's own clients do. */
const HEARTBEATS_A_SESSION = 3
const WAIT_AT_BROKER_MS = 200
const PARTITION_MAX_BYTES = 1_048_576
const AT_ONCE_MAX = 1000
const AGAIN_MS = 1000
const ASSIGNER = 'sluice-together'

/** Consumer groups through kafkajs: its membership and its reading. */
export function openGroup(options: KafkaOptions): ConsumerGroup {
  return {
    async join(membership, signal) {
      while (!signal.aborted) {
        const cause = await joinOnce(options, membership, signal)
        if (cause && !isPassing(cause)) throw cause
        if (cause) await sleep(AGAIN_MS, undefined, { signal }).catch(() => {})
      }
    },
  }
}

/** What this member has now: where each partition goes on, once its work has said so. */
type Assignment = { next: Promise<Map<string, Map<number, number>>>; ending: AbortController }

/** Until it was asked to end, which gives null, or something went wrong. */
async function joinOnce(
  options: KafkaOptions,
  { groupId, topics, sessionMs, onAssigned, onRecords }: Membership,
  signal: AbortSignal,
): Promise<unknown> {
  const stream = openStream(options)
  let assigned: Assignment | null = null
  const consumer = configuredKafka(options).consumer({
    groupId,
    partitionAssigners: [together],
    sessionTimeout: sessionMs,
    heartbeatInterval: sessionMs / HEARTBEATS_A_SESSION,
    maxWaitTimeInMs: WAIT_AT_BROKER_MS,
    maxBytesPerPartition: PARTITION_MAX_BYTES,
    allowAutoTopicCreation: false,
  })
  const over = Promise.withResolvers<unknown>()
  const onAbort = () => over.resolve(null)
  signal.addEventListener('abort', onAbort, { once: true })
  consumer.on('consumer.crash', ({ payload: { error, restart } }) => {
    if (!restart) over.resolve(error)
  })
  consumer.on('consumer.group_join', ({ payload }) => {
    assigned?.ending.abort()
    const ending = new AbortController()
    const share = payload.memberAssignment[topics[0]!] ?? []
    const next = begin(stream, topics, onAssigned(share, ending.signal))
    next.catch(error => {
      if (!ending.signal.aborted) over.resolve(error)
    })
    assigned = { next, ending }
  })
  /** Where to go on instead, when what was fetched does not join what was taken. */
  const placeFor = async (batch: Batch, expected: number): Promise<number | null> => {
    const fetched = Number((batch as Batch & { fetchedOffset: string }).fetchedOffset)
    if (fetched <= expected) return Number(batch.lastOffset()) < expected ? expected : null
    const stretch = (await stream.stretchesOf([batch.topic])).get(batch.topic)
    const begins = stretch?.begin.get(batch.partition) ?? 0
    // What was to come next was deleted meanwhile: then this is what comes next.
    return begins > expected ? null : expected
  }
  const eachBatch = async ({ batch, resolveOffset, heartbeat }: Handed): Promise<void> => {
    const now = assigned
    const next = await now?.next.catch(() => null)
    const { topic, partition } = batch
    const expected = next?.get(topic)?.get(partition)
    if (!now || now.ending.signal.aborted || expected === undefined) return
    const instead = await placeFor(batch, expected)
    if (instead !== null) return consumer.seek({ topic, partition, offset: String(instead) })
    const records = batch.messages
      .filter(({ value, offset }) => value && Number(offset) >= expected)
      .map(message => recordOf(message, partition))
    const beating = setInterval(
      // It is told that partitions are shared out anew when it says that it is alive.
      () => heartbeat().catch(() => now.ending.abort()),
      sessionMs / HEARTBEATS_A_SESSION,
    )
    try {
      if (records.length > 0) await onRecords(topic, records, now.ending.signal)
      next!.get(topic)!.set(partition, Number(batch.lastOffset()) + 1)
      resolveOffset(batch.lastOffset())
    } catch (error) {
      if (!now.ending.signal.aborted) over.resolve(error)
    } finally {
      clearInterval(beating)
    }
  }
  try {
    await requireTopics(stream, topics)
    await consumer.connect()
    await consumer.subscribe({ topics: [...topics], fromBeginning: true })
    await consumer.run({
      eachBatchAutoResolve: false,
      autoCommitInterval: COMMIT_EVERY_MS,
      partitionsConsumedConcurrently: AT_ONCE_MAX,
      eachBatch,
    })
    return await over.promise
  } catch (error) {
    return error
  } finally {
    signal.removeEventListener('abort', onAbort)
    ;(assigned as Assignment | null)?.ending.abort()
    await leave(consumer)
  }
}

/** Where to go on: where the work says, or where Kafka begins when that is gone. */
async function begin(
  stream: ReturnType<typeof openStream>,
  topics: readonly string[],
  asked: ReturnType<Membership['onAssigned']>,
): Promise<Map<string, Map<number, number>>> {
  const [wanted, stretches] = await Promise.all([asked, stream.stretchesOf(topics)])
  return new Map(
    [...wanted].map(([topic, offsets]) => {
      const begins = stretches.get(topic)?.begin
      const next = [...offsets].map(
        ([partition, offset]) =>
          [partition, Math.max(offset, begins?.get(partition) ?? 0)] as const,
      )
      return [topic, new Map(next)]
    }),
  )
}

async function requireTopics(
  stream: ReturnType<typeof openStream>,
  topics: readonly string[],
): Promise<void> {
  const stretches = await stream.stretchesOf(topics)
  const missing = topics.filter(topic => !stretches.has(topic))
  if (missing.length > 0) {
    throw new CannotJoin(
      `Kafka has no topic ${missing.join(', ')}, or does not show it to us: create it ` +
        '(./sluice doctor --create-topics), or grant READ and DESCRIBE',
    )
  }
  const fault = unequal(new Map([...stretches].map(([topic, { end }]) => [topic, end.size])))
  if (fault !== null) throw new CannotJoin(fault)
}

async function leave(consumer: Consumer): Promise<void> {
  await consumer.disconnect().catch(() => {})
}

const together: PartitionAssigner = ({ cluster }) => ({
  name: ASSIGNER,
  version: 0,
  async assign({ members, topics }) {
    const counts = topics.map(topic => cluster.findTopicPartitionMetadata(topic).length)
    const ids = members.map(({ memberId }) => memberId)
    return [...sharedOut(ids, Math.min(...counts))].map(([memberId, partitions]) => {
      const assignment = Object.fromEntries(topics.map(topic => [topic, partitions]))
      return {
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 0,
          assignment,
          userData: Buffer.alloc(0),
        }),
      }
    })
  },
  protocol: ({ topics }) => ({
    name: ASSIGNER,
    metadata: AssignerProtocol.MemberMetadata.encode({
      version: 0,
      topics,
      userData: Buffer.alloc(0),
    }),
  }),
})

function isPassing(error: unknown): boolean {
  const isOurs = !(error as { name?: string }).name?.startsWith('KafkaJS')
  return !isOurs && !isNotAllowed(error)
}

type Handed = {
  batch: Batch
  resolveOffset(offset: string): void
  heartbeat(): Promise<void>
}
