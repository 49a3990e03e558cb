import {
  type Broker,
  initProducerIdV4,
  type MessageRecord,
  NumericMap,
  ProtocolError,
  produceV8,
} from '@platformatic/kafka'
import type { Batch, Headers, OutgoingRecord } from '../../ports/event-sink.ts'
import type { KafkaOptions } from '../client.ts'
import type { BatchPart } from '../sink.ts'
import type { Cluster } from './cluster.ts'

const ALL_IN_SYNC = -1
/** Kafka's code for: the broker has it, from an earlier try. */
const DUPLICATE_SEQUENCE_NUMBER = 46

/** By what a broker knows a part that comes again: whose it is, and in each partition which. */
export type ProducerState = { producerId: bigint; producerEpoch: number; sequences: NumericMap }

/** Takes new numbers. Rejects while no broker answers, or none gives any. */
export async function initProducerState(cluster: Cluster): Promise<ProducerState> {
  const answer = await cluster.askAny(via => initProducerIdV4.api.async(via, null, 0))
  const { errorCode, producerId, producerEpoch } = answer
  if (errorCode !== 0) throw new ProtocolError(errorCode)
  return { producerId, producerEpoch, sequences: new NumericMap() }
}

/**
 * Sends parts to the broker that leads them, and tells of each what went wrong: null when it is
 * there. Only then its numbers are used up. Rejects when there is no answer.
 */
export async function produce(
  cluster: Cluster,
  leader: Broker,
  options: KafkaOptions,
  numbers: ProducerState,
  { topic, records }: Batch,
  parts: readonly BatchPart[],
): Promise<(Error | null)[]> {
  const now = BigInt(Date.now())
  const messages = parts.flat().map(index => messageOf(topic, records[index]!, now))
  const details = { compression: options.compression, ...numbers }
  // Before we give up, so that a partition that lags behind does not cost the others' answers.
  const withinMs = Math.ceil(options.requestTimeoutMs * 0.75)
  const answer = await cluster.ask(leader, async via => {
    const answered = await produceV8.api.async(via, ALL_IN_SYNC, withinMs, messages, details)
    return answered as produceV8.ProduceResponse
  })
  const answers = new Map(
    answer.responses.flatMap(one => one.partitionResponses).map(one => [one.index, one]),
  )
  return parts.map(part => {
    const { partition } = records[part[0]!]!
    const { errorCode, errorMessage } = answers.get(partition) ?? NO_ANSWER
    const isThere = errorCode === 0 || errorCode === DUPLICATE_SEQUENCE_NUMBER
    if (!isThere) return new ProtocolError(errorCode, errorMessage)
    advance(numbers.sequences, `${topic}:${partition}`, part.length)
    return null
  })
}

/** UNKNOWN_SERVER_ERROR, Kafka's own word for it. */
const NO_ANSWER = { errorCode: -1, errorMessage: 'no answer for a partition' }

/** Sequences start again at 0 behind 2^31 - 1 (org.apache.kafka DefaultRecordBatch). */
function advance(sequences: NumericMap, key: string, count: number): void {
  sequences.set(key, (sequences.getWithDefault(key, 0) + count) % 2 ** 31)
}

/** With all that the library sets, because it makes an object larger at a price. */
function messageOf(topic: string, one: OutgoingRecord, timestamp: bigint): MessageRecord {
  const { key, partition, value, headers } = one
  return { topic, partition, key, value, headers: headers ? bytesOf(headers) : NONE, timestamp }
}

const NONE = new Map<Buffer, Buffer>()
const encoded = new WeakMap<Headers, Map<Buffer, Buffer>>()

/** Headers are one object for many records: they are encoded once. */
function bytesOf(headers: Headers): Map<Buffer, Buffer> {
  let bytes = encoded.get(headers)
  if (!bytes) {
    const pairs = Object.entries(headers)
    bytes = new Map(pairs.map(([name, value]) => [Buffer.from(name), Buffer.from(value)]))
    encoded.set(headers, bytes)
  }
  return bytes
}
