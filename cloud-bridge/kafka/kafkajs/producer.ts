import type { Kafka, Producer as KafkajsProducer, Message } from 'kafkajs'
import type { Batch } from '../../ports/event-sink.ts'
import type { KafkaOptions } from '../client.ts'
import { isProducerInvalid, permanentRejection } from '../errors.ts'
import type { BatchPart, Producer } from '../sink.ts'
import { compressionTypes, createKafkajs } from './configuration.ts'
import { createSilentBrokerFilter } from './silent-brokers.ts'

/** kafkajs tries a request twice (retries: 1); then it is past its own deadline. */
const ABANDON_AFTER_TIMEOUTS = 4
/** A broker that did not answer is asked again after this long. */
const AVOIDED_FOR_TIMEOUTS = 2

/**
 * A producer on kafkajs, by the way that was found safe for it: idempotent, one send at a time, one
 * request in flight. After a rejected send the *same* object is disconnected and connected, because
 * it keeps the numbers by which the broker tells a part that comes again; whatever was in a
 * rejected send comes again partition by partition, because kafkajs takes back the numbers of parts
 * that were appended. The object is thrown away when it could not connect at first, when its
 * numbers are lost, or when a send does not settle.
 */
export function openProducer(options: KafkaOptions): Producer {
  // One retry of anything within a send, or it would still be at it when we give it up.
  const avoiding = createSilentBrokerFilter(AVOIDED_FOR_TIMEOUTS * options.requestTimeoutMs)
  const kafka = createKafkajs(options, 1, avoiding.socketFactory)
  const compression = compressionTypes[options.compression]
  const abandonMs = ABANDON_AFTER_TIMEOUTS * options.requestTimeoutMs
  let producer: KafkajsProducer | null = null
  let connected = false
  /** Partitions whose part was in a rejected send of several, and not yet sent alone. */
  const inDoubt = new Set<number>()

  /** Connects; a producer whose first connect failed would go on without idempotence. */
  const connect = async (): Promise<KafkajsProducer> => {
    if (producer && connected) return producer
    const made = producer ?? createIdempotentProducer(kafka)
    try {
      await made.connect()
    } catch (error) {
      avoiding.note(error)
      if (!producer) made.disconnect().catch(() => {})
      throw error
    }
    producer = made
    connected = true
    return made
  }

  const recover = async (via: KafkajsProducer, error: unknown, sending: Promise<unknown>) => {
    const disconnect = () => via.disconnect().catch(() => {})
    connected = false
    avoiding.note(error)
    if (error instanceof Unsettled || isProducerInvalid(error)) producer = null
    if (error instanceof Unsettled) sending.then(disconnect, disconnect)
    else await disconnect()
  }

  /** What went wrong with each of these parts, sent together. Throws when it cannot connect. */
  const attempt = async (batch: Batch, parts: readonly BatchPart[]) => {
    const fates = (failureOf: (part: BatchPart) => unknown) =>
      parts.map(part => [part, failureOf(part)] as const)
    const partitionOf = (part: BatchPart) => batch.records[part[0]!]!.partition
    const topicMessages = [{ topic: batch.topic, messages: messagesOf(batch, parts) }]
    const via = await connect()
    const sending = via.sendBatch({ topicMessages, acks: -1, compression })
    try {
      const answer = await withDeadline(sending, abandonMs)
      const answered = new Set(answer.map(({ partition }) => partition))
      // What was answered for is done: its numbers are used up, so it would be written again.
      const isDone = (part: BatchPart) => answered.has(partitionOf(part))
      const failure = new Error(`Kafka gave no answer for a partition of ${batch.topic}`)
      if (!parts.every(isDone)) await recover(via, failure, sending)
      return fates(part => (isDone(part) ? null : failure))
    } catch (failure) {
      await recover(via, failure, sending)
      return fates(() => failure)
    }
  }

  return {
    async send(batch, parts) {
      const failures = new Map<BatchPart, unknown>()
      const partitionOf = (part: BatchPart) => batch.records[part[0]!]!.partition
      try {
        const together = parts.filter(part => !inDoubt.has(partitionOf(part)))
        if (together.length > 1) {
          for (const [part, failure] of await attempt(batch, together)) {
            if (failure !== null) inDoubt.add(partitionOf(part))
            // What failed for all may do so for each: that is tried after the back-off. But of
            // several that are refused nobody knows which is to blame.
            if (permanentRejection(failure) === null) failures.set(part, failure)
          }
        }
        for (const part of parts.filter(one => !failures.has(one))) {
          const [, failure] = (await attempt(batch, [part]))[0]!
          if (failure === null || permanentRejection(failure)) inDoubt.delete(partitionOf(part))
          failures.set(part, failure)
        }
      } catch (noConnection) {
        return parts.map(part => (failures.has(part) ? failures.get(part) : noConnection))
      }
      return parts.map(part => failures.get(part))
    },
    async [Symbol.asyncDispose]() {
      await producer?.disconnect().catch(() => {})
    },
  }
}

/** A producer whose numbers outlive a rejected send, as `openProducer` says. */
export function createIdempotentProducer(kafka: Kafka): KafkajsProducer {
  return kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    // The partition is decided before; the client's own partitioner would hash every key again.
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition!,
    // One retry, because none is refused; the forwarder repeats the batch itself.
    retry: { retries: 1, initialRetryTime: 100, maxRetryTime: 1000 },
  })
}

/**
 * The records of some parts as kafkajs takes them. It would part them by a `reduce` that copies all
 * it has of a partition for each further message; this one gives what is parted already.
 */
function messagesOf({ records }: Batch, parts: readonly BatchPart[]): Message[] {
  const some = parts.map(part => part.map(index => records[index]!))
  const byPartition = Object.fromEntries(some.map(one => [one[0]!.partition, one]))
  return Object.assign(some.flat(), { reduce: () => byPartition })
}

class Unsettled extends Error {}

async function withDeadline<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Unsettled(`no answer for ${deadlineMs} ms`)), deadlineMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
