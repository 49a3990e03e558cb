import type { Kafka, Producer as KafkajsProducer, RecordMetadata } from 'kafkajs'
import type { Batch, StoredRecords } from '../../ports/event-sink.ts'
import type { KafkaOptions } from '../client.ts'
import { isProducerInvalid, permanentRejection } from '../errors.ts'
import type { BatchPart, Producer } from '../sink.ts'
import { compressionTypes, createKafkajs } from './configuration.ts'
import { groupedMessages } from './internals.ts'
import { createSilentBrokerFilter } from './silent-brokers.ts'

/** A send is given up after this many request timeouts: kafkajs itself tries a request twice. */
const GIVE_UP_AFTER_TIMEOUTS = 4
/** A broker that did not respond is avoided for this many request timeouts. */
const AVOID_FOR_TIMEOUTS = 2

type OnStored = (stored: StoredRecords) => void

/**
 * A producer on kafkajs: idempotent, one send at a time, one request in flight.
 *
 * After a rejected send the *same* kafkajs producer is disconnected and connected again, because
 * only the same producer keeps the producer id and the sequences by which the broker recognises a
 * retried part. The parts of a rejected send are then sent one partition at a time, because kafkajs
 * resets the sequences of parts that were appended. The kafkajs producer is replaced when its first
 * connect failed, when its producer id is invalid, or when a send does not end.
 */
export function openProducer(options: KafkaOptions, onStored: OnStored = () => {}): Producer {
  // With more than one retry, kafkajs would still send after the send is given up.
  const silentBrokers = createSilentBrokerFilter(AVOID_FOR_TIMEOUTS * options.requestTimeoutMs)
  const kafka = createKafkajs(options, 1, silentBrokers.socketFactory)
  const compression = compressionTypes[options.compression]
  const giveUpMs = GIVE_UP_AFTER_TIMEOUTS * options.requestTimeoutMs
  let producer: KafkajsProducer | null = null
  let isConnected = false
  /** Partitions of a rejected send of several parts, until they are sent alone. */
  const suspects = new Set<number>()

  /** Connects. A producer whose first connect failed would not be idempotent: it is discarded. */
  const connect = async (): Promise<KafkajsProducer> => {
    if (producer && isConnected) return producer
    const connecting = producer ?? createIdempotentProducer(kafka)
    try {
      await connecting.connect()
    } catch (error) {
      silentBrokers.recordError(error)
      if (!producer) disconnect(connecting)
      throw error
    }
    producer = connecting
    isConnected = true
    return connecting
  }

  const closeAfter = async (failed: KafkajsProducer, error: unknown, sending: Promise<unknown>) => {
    isConnected = false
    silentBrokers.recordError(error)
    if (error instanceof SendTimeout || isProducerInvalid(error)) producer = null
    if (error instanceof SendTimeout) sending.catch(() => {}).then(() => disconnect(failed))
    else await disconnect(failed)
  }

  /** Sends all parts at once; returns each part's failure or null. Throws when connecting fails. */
  const attempt = async (batch: Batch, parts: readonly BatchPart[]) => {
    const results = (failureOf: (part: BatchPart) => unknown) =>
      parts.map(part => [part, failureOf(part)] as const)
    const connected = await connect()
    const topicMessages = topicMessagesOf(batch, parts)
    const sending = connected.sendBatch({ topicMessages, acks: -1, compression })
    try {
      const response = await withDeadline(sending, giveUpMs)
      const acknowledged = new Set(response.map(({ partition }) => partition))
      // kafkajs has used up the sequences of acknowledged parts: a retry would store them twice.
      const isDone = (part: BatchPart) => acknowledged.has(partitionOf(batch, part))
      const failed = parts.filter(part => !isDone(part))
      storedRecords(batch, parts, response).forEach(onStored)
      const failure = withoutResult(batch, failed)
      if (failed.length > 0) await closeAfter(connected, failure, sending)
      return results(part => (isDone(part) ? null : failure))
    } catch (failure) {
      await closeAfter(connected, failure, sending)
      return results(() => failure)
    }
  }

  return {
    async send(batch, parts) {
      const failures = new Map<BatchPart, unknown>()
      try {
        const combined = parts.filter(part => !suspects.has(partitionOf(batch, part)))
        if (combined.length > 1) {
          for (const [part, failure] of await attempt(batch, combined)) {
            if (failure !== null) suspects.add(partitionOf(batch, part))
            // A temporary failure probably repeats at once: the caller retries after its back-off.
            // A rejection does not say which part is rejected: each part is sent alone, now.
            if (permanentRejection(failure) === null) failures.set(part, failure)
          }
        }
        for (const part of parts.filter(candidate => !failures.has(candidate))) {
          const [, failure] = (await attempt(batch, [part]))[0]!
          const isDecided = failure === null || permanentRejection(failure) !== null
          if (isDecided) suspects.delete(partitionOf(batch, part))
          failures.set(part, failure)
        }
      } catch (connectFailure) {
        return parts.map(part => (failures.has(part) ? failures.get(part) : connectFailure))
      }
      return parts.map(part => failures.get(part))
    },
    async [Symbol.asyncDispose]() {
      await producer?.disconnect().catch(() => {})
    },
  }
}

/** What kafkajs reports about the parts of a batch that Kafka acknowledged. */
function storedRecords(
  batch: Batch,
  parts: readonly BatchPart[],
  response: readonly RecordMetadata[],
): StoredRecords[] {
  return response.flatMap(({ partition, baseOffset = '-1', logAppendTime = '-1' }) => {
    const [firstOffset, timeMs] = [Number(baseOffset), Number(logAppendTime)]
    if (firstOffset < 0) return []
    const count = parts.find(part => partitionOf(batch, part) === partition)?.length ?? 0
    const appendTimeMs = timeMs < 0 ? null : timeMs
    return [{ topic: batch.topic, partition, firstOffset, count, appendTimeMs }]
  })
}

function withoutResult(batch: Batch, parts: readonly BatchPart[]): Error {
  const partitions = parts.map(part => partitionOf(batch, part)).join(', ')
  return new Error(`the response has no result for ${batch.topic}, partition ${partitions}`)
}

const disconnect = (producer: KafkajsProducer) => producer.disconnect().catch(() => {})

const partitionOf = ({ records }: Batch, part: BatchPart) => records[part[0]!]!.partition

const topicMessagesOf = ({ topic, records }: Batch, parts: readonly BatchPart[]) => [
  { topic, messages: groupedMessages(parts.map(part => part.map(index => records[index]!))) },
]

/** A producer whose producer id and sequences survive a rejected send; see `openProducer`. */
export function createIdempotentProducer(kafka: Kafka): KafkajsProducer {
  return kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    // The partition is known; the library's own partitioner would hash every key.
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition!,
    // kafkajs rejects 0 retries here; the forwarder retries the batch itself.
    retry: { retries: 1, initialRetryTime: 100, maxRetryTime: 1000 },
  })
}

class SendTimeout extends Error {}

async function withDeadline<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    const error = new SendTimeout(`no response from Kafka within ${deadlineMs} ms`)
    timer = setTimeout(() => reject(error), deadlineMs)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
