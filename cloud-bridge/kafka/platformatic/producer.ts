import {
  type Broker,
  type Connection,
  initProducerIdV4,
  type MessageRecord,
  NumericMap,
  ProtocolError,
  produceV8,
} from '@platformatic/kafka'
import type { Batch, Headers, Outgoing } from '../../forwarder.ts'
import type { KafkaOptions } from '../client.ts'
import { losesProducer } from '../errors.ts'
import type { Part, Producer } from '../sink.ts'
import { type Cluster, type Leaders, openCluster } from './cluster.ts'

const ALL_IN_SYNC = -1
/** The broker has it, from an earlier try; Kafka's code for that. */
const DUPLICATE_SEQUENCE_NUMBER = 46

/** By what the broker tells a part that comes again: who sent it, as the how-manieth records. */
type Numbers = { producerId: bigint; producerEpoch: number; sequences: NumericMap }

/**
 * An idempotent producer on the library's protocol: one request to each leader, and the answer for
 * each partition decides about that partition alone. What was not answered for goes out again under
 * the same numbers, whichever connection, broker or company it has then, so Kafka writes it once.
 *
 * Not on the library's own Producer, because that drops its numbers with every rejected send, tries
 * for ever what it sent to a leader of several partitions when these move to several brokers, and
 * keeps every error of an outage in memory until it ends.
 */
export function openProducer(options: KafkaOptions): Producer {
  const cluster = openCluster(options)
  const known = new Map<string, Leaders>()
  let numbers: Numbers | null = null

  const leadersOf = async (topic: string): Promise<Leaders> => {
    const leaders = known.get(topic) ?? (await cluster.leadersOf(topic))
    known.set(topic, leaders)
    return leaders
  }

  /** What went wrong with each part that one broker leads; null where nothing did. */
  const sendTo = async (leader: Broker, own: Numbers, { topic, records }: Batch, led: Part[]) => {
    const partitionOf = (part: Part) => records[part[0]!]!.partition
    const messages = led.flatMap(part => part.map(index => messageOf(topic, records[index]!)))
    const timeoutMs = options.requestTimeoutMs
    const details = { compression: options.compression, ...own }
    const produce = (via: Connection) =>
      produceV8.api.async(
        via,
        ALL_IN_SYNC,
        timeoutMs,
        messages,
        details,
      ) as Promise<produceV8.ProduceResponse>
    try {
      const failureOf = failuresIn(await cluster.ask(leader, produce), topic)
      return led.map(part => {
        const failure = failureOf(partitionOf(part))
        if (!failure) advance(own.sequences, `${topic}:${partitionOf(part)}`, part.length)
        return failure
      })
    } catch (error) {
      return led.map(() => error)
    }
  }

  return {
    async send(batch, parts) {
      const { topic, records } = batch
      try {
        const leaders = await leadersOf(topic)
        numbers ??= await takeNumbers(cluster)
        const own = numbers
        const byLeader = Map.groupBy(parts, part => leaders.of(records[part[0]!]!.partition))
        const sending = [...byLeader].map(async ([leader, led]) => {
          const failures = leader
            ? await sendTo(leader, own, batch, led)
            : led.map(() => new Error(`${topic} has a partition that no broker leads`))
          return led.map((part, index) => [part, failures[index]] as const)
        })
        const failures = new Map((await Promise.all(sending)).flat())
        if ([...failures.values()].some(failure => failure !== null)) known.delete(topic)
        if ([...failures.values()].some(losesProducer)) numbers = null
        return parts.map(part => failures.get(part))
      } catch (error) {
        return parts.map(() => error)
      }
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}

async function takeNumbers(cluster: Cluster): Promise<Numbers> {
  const answer = await cluster.askAny(via => initProducerIdV4.api.async(via, null, 0))
  const { errorCode, producerId, producerEpoch } = answer
  if (errorCode !== 0) throw new ProtocolError(errorCode)
  return { producerId, producerEpoch, sequences: new NumericMap() }
}

/** Sequences start again at 0 behind 2^31 - 1 (org.apache.kafka DefaultRecordBatch). */
function advance(sequences: NumericMap, key: string, count: number): void {
  sequences.set(key, (sequences.getWithDefault(key, 0) + count) % 2 ** 31)
}

/** Of each partition, why it was not appended; null when it was. */
function failuresIn(
  { responses }: produceV8.ProduceResponse,
  topic: string,
): (partition: number) => Error | null {
  const all = responses.flatMap(({ partitionResponses }) => partitionResponses)
  const answers = new Map(all.map(answer => [answer.index, answer]))
  return partition => {
    const answer = answers.get(partition)
    if (!answer) return new Error(`Kafka gave no answer for partition ${partition} of ${topic}`)
    const { errorCode, errorMessage } = answer
    const isThere = errorCode === 0 || errorCode === DUPLICATE_SEQUENCE_NUMBER
    return isThere ? null : new ProtocolError(errorCode, errorMessage)
  }
}

function messageOf(topic: string, { key, partition, value, headers }: Outgoing): MessageRecord {
  const message = { topic, partition, key, value }
  return headers ? { ...message, headers: bytesOf(headers) } : message
}

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
