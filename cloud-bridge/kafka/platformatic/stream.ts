import { setTimeout as sleep } from 'node:timers/promises'
import { type Broker, fetchV11, ProtocolError } from '@platformatic/kafka'
import type { EventStream, Offsets, ReadRecord, Stretch } from '../../event-stream.ts'
import type { KafkaOptions } from '../client.ts'
import { codesOf, isNoSuchTopic } from '../errors.ts'
import { type Cluster, isPassing, type Leaders, openCluster } from './cluster.ts'
import { byLeader, endsOf, throwFailure } from './offsets.ts'
import { endOf, recordsIn } from './records.ts'

const ATTEMPTS = 10
const RETRY_MS = 300
const WAIT_AT_BROKER_MS = 200
const ANSWER_MAX_BYTES = 10_000_000
const PARTITION_MAX_BYTES = 1_048_576
const OFFSET_OUT_OF_RANGE = 1
const TOPIC_AUTHORIZATION_FAILED = 29
/** Kafka's "never mind" where it asks for an epoch. */
const ANY = -1
const READ_UNCOMMITTED = 0

export function openStream(options: KafkaOptions): EventStream {
  return {
    async stretchesOf(topics) {
      await using cluster = openCluster(options)
      const found = new Map<string, Stretch>()
      for (const topic of topics) {
        const stretch = await retried(() => stretchOf(cluster, topic))
        if (stretch) found.set(topic, stretch)
      }
      return found
    },
    async readBetween(topic, from, to, onRecord) {
      await using cluster = openCluster(options)
      const reading: Reading = {
        next: new Map([...to.keys()].map(partition => [partition, from.get(partition) ?? 0])),
        to,
        onRecord,
      }
      while (partitionsLeft(reading).length > 0) {
        await retried(() => readOn(cluster, topic, reading))
      }
    },
  }
}

/** How far a topic was read, and how far it is to be. */
type Reading = {
  next: Map<number, number>
  to: Offsets
  onRecord: (record: ReadRecord) => void
}

function partitionsLeft({ next, to }: Reading): number[] {
  return [...to].flatMap(([partition, end]) => (next.get(partition)! < end ? [partition] : []))
}

/** Reads what each leader gives at once. */
async function readOn(cluster: Cluster, topic: string, reading: Reading): Promise<void> {
  const leaders = await cluster.leadersOf(topic)
  const { next, to, onRecord } = reading
  const fetchFrom = async (leader: Broker, partitions: number[]) => {
    const wanted = partitions.map(partition => ({
      partition,
      fetchOffset: BigInt(next.get(partition)!),
      partitionMaxBytes: PARTITION_MAX_BYTES,
      currentLeaderEpoch: ANY,
      lastFetchedEpoch: ANY,
    }))
    // In this version a topic goes by its name.
    const topics = [{ topicId: topic, partitions: wanted }]
    const limits = [WAIT_AT_BROKER_MS, 1, ANSWER_MAX_BYTES] as const
    const answer = await cluster.ask(leader, via =>
      fetchV11.api.async(via, ...limits, READ_UNCOMMITTED, 0, ANY, topics, [], ''),
    )
    throwFailure([answer])
    for (const one of answer.responses.flatMap(({ partitions: all }) => all)) {
      const partition = one.partitionIndex
      if (one.errorCode === OFFSET_OUT_OF_RANGE) {
        await skipDeleted(cluster, leaders, topic, partition, next)
        continue
      }
      throwFailure([one])
      for (const batch of one.records ?? []) {
        const from = next.get(partition)!
        const records = recordsIn(batch, partition)
        for (const record of records) {
          if (record.offset >= from && record.offset < to.get(partition)!) onRecord(record)
        }
        next.set(partition, Math.max(from, endOf(batch)))
      }
    }
  }
  await Promise.all(
    [...byLeader(leaders, partitionsLeft(reading))].map(([leader, partitions]) =>
      fetchFrom(leader, partitions),
    ),
  )
}

/** What was to be read first was deleted meanwhile: goes on with what is there. */
async function skipDeleted(
  cluster: Cluster,
  leaders: Leaders,
  topic: string,
  partition: number,
  next: Map<number, number>,
): Promise<void> {
  const begins = await endsOf(cluster, leaders, topic, 'earliest', [partition])
  const begin = begins.get(partition)!
  if (begin <= next.get(partition)!) throw new ProtocolError(OFFSET_OUT_OF_RANGE)
  next.set(partition, begin)
}

async function stretchOf(cluster: Cluster, topic: string): Promise<Stretch | null> {
  try {
    const leaders = await cluster.leadersOf(topic)
    const begin = await endsOf(cluster, leaders, topic, 'earliest')
    return { begin, end: await endsOf(cluster, leaders, topic, 'latest') }
  } catch (error) {
    if (isNoSuchTopic(error) || codesOf(error).includes(TOPIC_AUTHORIZATION_FAILED)) return null
    throw error
  }
}

/** Leaders change, and right after a topic was created they may not know of it yet. */
async function retried<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (!isPassing(error) || attempt === ATTEMPTS) throw error
      await sleep(RETRY_MS)
    }
  }
}
