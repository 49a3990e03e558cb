import type { Batch, Headers, OutgoingRecord, StoredRecords } from '../../ports/event-sink.ts'
import type { KafkaOptions } from '../client.ts'
import { ErrorCode } from '../error-codes.ts'
import type { BatchPart } from '../sink.ts'
import type { Cluster } from './cluster.ts'
import {
  type Broker,
  type MessageRecord,
  NumericMap,
  type ProduceResponse,
  ProtocolError,
  protocol,
} from './internals.ts'

const ACKS_ALL = -1
/**
 * The broker's timeout is shorter than the client's, so that one slow replica fails only its
 * partition and not the whole request.
 */
const BROKER_TIMEOUT_SHARE = 0.75

/**
 * Producer id, epoch and per-partition sequence: how the broker recognises a retried batch. The key
 * of a sequence is `topic:partition`.
 */
export type ProducerState = { producerId: bigint; producerEpoch: number; sequences: NumericMap }

/** Gets a new producer id from Kafka. Rejects while no broker assigns one. */
export async function initProducerState(cluster: Cluster): Promise<ProducerState> {
  const response = await cluster.askAny(connection =>
    protocol.initProducerId.async(connection, null, 0),
  )
  const { errorCode, producerId, producerEpoch } = response
  if (errorCode !== ErrorCode.NONE) throw new ProtocolError(errorCode)
  return { producerId, producerEpoch, sequences: new NumericMap() }
}

/** The leader of the partitions, how to reach it, and who learns of stored records. */
type ProduceRoute = {
  cluster: Cluster
  leader: Broker
  onStored(stored: StoredRecords): void
}

/**
 * Sends parts of a batch to the broker that leads their partitions. Resolves with one failure per
 * part, null where the broker has stored the part; only then the sequence of the partition
 * advances. Rejects when no response arrives.
 */
export async function produce(
  { cluster, leader, onStored }: ProduceRoute,
  options: KafkaOptions,
  state: ProducerState,
  { topic, records }: Batch,
  parts: readonly BatchPart[],
): Promise<(Error | null)[]> {
  const now = BigInt(Date.now())
  const messages = parts.flat().map(index => createMessage(topic, records[index]!, now))
  const batchOptions = { compression: options.compression, ...state }
  const brokerTimeoutMs = Math.ceil(options.requestTimeoutMs * BROKER_TIMEOUT_SHARE)
  const response = await cluster.ask(leader, async connection => {
    const acknowledged = await protocol.produce.async(
      connection,
      ACKS_ALL,
      brokerTimeoutMs,
      messages,
      batchOptions,
    )
    return acknowledged as ProduceResponse
  })
  const results = new Map(
    response.responses
      .flatMap(({ partitionResponses }) => partitionResponses)
      .map(result => [result.index, result]),
  )
  return parts.map(part => {
    const { partition } = records[part[0]!]!
    const result = results.get(partition) ?? noResult(topic, partition)
    const { errorCode, errorMessage } = result
    // A duplicate was stored by an earlier attempt whose response was lost.
    const isStored =
      errorCode === ErrorCode.NONE || errorCode === ErrorCode.DUPLICATE_SEQUENCE_NUMBER
    if (!isStored) return new ProtocolError(errorCode, errorMessage)
    if (errorCode === ErrorCode.NONE && 'baseOffset' in result && result.baseOffset >= 0n) {
      const appendTimeMs = result.logAppendTimeMs < 0n ? null : Number(result.logAppendTimeMs)
      const firstOffset = Number(result.baseOffset)
      onStored({ topic, partition, firstOffset, count: part.length, appendTimeMs })
    }
    advance(state.sequences, `${topic}:${partition}`, part.length)
    return null
  })
}

const noResult = (topic: string, partition: number) => ({
  errorCode: ErrorCode.UNKNOWN_SERVER_ERROR,
  errorMessage: `the response has no result for ${topic}, partition ${partition}`,
})

/** Sequences wrap to 0 after 2^31 - 1 (org.apache.kafka DefaultRecordBatch). */
function advance(sequences: NumericMap, key: string, count: number): void {
  sequences.set(key, (sequences.getWithDefault(key, 0) + count) % 2 ** 31)
}

/**
 * Sets every property that the library would add later: each added property would give the object a
 * new hidden class, which is slow.
 */
function createMessage(topic: string, record: OutgoingRecord, timestamp: bigint): MessageRecord {
  const { key, partition, value, headers } = record
  const encoded = headers ? encodeHeaders(headers) : NO_HEADERS
  return { topic, partition, key, value, headers: encoded, timestamp }
}

const NO_HEADERS = new Map<Buffer, Buffer>()
const encodedHeaders = new WeakMap<Headers, Map<Buffer, Buffer>>()

/** Encodes headers once per object: many records share one headers object. */
function encodeHeaders(headers: Headers): Map<Buffer, Buffer> {
  let encoded = encodedHeaders.get(headers)
  if (!encoded) {
    const pairs = Object.entries(headers)
    encoded = new Map(pairs.map(([name, value]) => [Buffer.from(name), Buffer.from(value)]))
    encodedHeaders.set(headers, encoded)
  }
  return encoded
}
