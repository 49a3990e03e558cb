import type { Kafka, Producer } from 'kafkajs'
import {
  type Batch,
  type EventSink,
  type Outgoing,
  type Rejection,
  SinkUnavailable,
} from '../../forwarder.ts'
import type { KafkaOptions } from '../client.ts'
import { describe, losesProducer, refusalOf } from '../errors.ts'
import { compressionOf, configuredKafka } from './configured.ts'

const CONTENT_TYPE = { 'content-type': 'application/vnd.apache.avro' }
/** kafkajs tries a request twice (retries: 1); then it is past its own deadline. */
const ABANDON_AFTER_TIMEOUTS = 4

/** What is left to do of the batch whose fate is not yet known. */
type Unfinished = { batch: Batch; rejections: Rejection[]; parts: number[][] }

/**
 * The sink on kafkajs, by the way that was found safe for it: an idempotent producer, one send at a
 * time, one request in flight. After a rejected send the *same* producer object is disconnected and
 * connected, and the identical batch is sent again; if it went to several partitions, each
 * partition's part alone and unchanged, because kafkajs takes back the numbers of parts that were
 * appended. Only a part refused alone, for good, is bisected. The object is thrown away when it
 * could not connect at first, when its numbers are lost, or when a send does not settle.
 */
export function openSink(options: KafkaOptions): EventSink & AsyncDisposable {
  // One retry of anything within a send, or it would still be at it when we give it up.
  const kafka = configuredKafka(options, 1)
  const compression = compressionOf[options.compression]
  const abandonMs = ABANDON_AFTER_TIMEOUTS * options.requestTimeoutMs
  let producer: Producer | null = null
  let connected = false
  let unfinished: Unfinished | null = null

  /** Connects; a producer whose first connect failed would go on without idempotence. */
  const connect = async (): Promise<Producer> => {
    if (producer && connected) return producer
    const made = producer ?? newProducer(kafka)
    try {
      await made.connect()
    } catch (error) {
      if (!producer) made.disconnect().catch(() => {})
      throw new SinkUnavailable(describe(error), { cause: error })
    }
    producer = made
    connected = true
    return made
  }

  /** Sends one part; gives what of it Kafka may not have, and what went wrong with that. */
  const sendPart = async (via: Producer, { topic, records }: Batch, part: number[]) => {
    const messages = part.map(index => messageOf(records[index]!))
    const sending = via.sendBatch({ topicMessages: [{ topic, messages }], acks: -1, compression })
    try {
      const answer = await withDeadline(sending, abandonMs)
      const answered = new Set(answer.map(({ partition }) => partition))
      // What was answered for is done: its numbers are used up, so it would be written again.
      const left = part.filter(index => !answered.has(records[index]!.partition))
      const failure = new Error(`Kafka gave no answer for a partition of ${topic}`)
      if (left.length > 0) await recover(via, failure, sending)
      return { left, failure }
    } catch (failure) {
      await recover(via, failure, sending)
      return { left: part, failure }
    }
  }

  const recover = async (via: Producer, error: unknown, sending: Promise<unknown>) => {
    const disconnect = () => via.disconnect().catch(() => {})
    connected = false
    if (error instanceof Unsettled || losesProducer(error)) producer = null
    if (error instanceof Unsettled) sending.then(disconnect, disconnect)
    else await disconnect()
  }

  /** Sends what is left, part by part; parts whose fate is known are taken off. */
  const finish = async ({ batch, rejections, parts }: Unfinished): Promise<void> => {
    while (parts.length > 0) {
      const part = parts[0]!
      const via = await connect()
      const { left, failure } = await sendPart(via, batch, part)
      parts.shift()
      if (left.length === 0) continue
      const refusal = refusalOf(failure)
      const several = partsOf(batch.records, left)
      if (several.length > 1) parts.unshift(...several)
      else if (!refusal) parts.unshift(left)
      else if (left.length > 1) parts.unshift(...halves(left))
      else rejections[left[0]!] = refusal
      if (!refusal) throw new SinkUnavailable(describe(failure), { cause: failure })
    }
  }

  return {
    async send(batch) {
      if (unfinished?.batch !== batch) {
        const all = batch.records.map((_, index) => index)
        unfinished = { batch, rejections: batch.records.map(() => null), parts: [all] }
      }
      await finish(unfinished)
      const { rejections } = unfinished
      unfinished = null
      return rejections
    },
    async [Symbol.asyncDispose]() {
      await producer?.disconnect().catch(() => {})
    },
  }
}

function newProducer(kafka: Kafka): Producer {
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

function messageOf({ key, partition, value }: Outgoing) {
  return { key, partition, value, headers: CONTENT_TYPE }
}

/** The indexes of a part by their partition, each in order. */
function partsOf(records: readonly Outgoing[], part: number[]): number[][] {
  return [...Map.groupBy(part, index => records[index]!.partition).values()]
}

function halves(part: number[]): number[][] {
  const middle = part.length >> 1
  return [part.slice(0, middle), part.slice(middle)]
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
