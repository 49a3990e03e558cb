import {
  type Batch,
  type EventSink,
  type Fates,
  type KnownFate,
  SinkUnavailable,
} from '../ports/event-sink.ts'
import type { KafkaOptions } from './client.ts'
import { describeError, permanentRejection } from './errors.ts'

/** Records of one partition in a batch, by their indexes in the batch, in order. */
export type BatchPart = readonly number[]

/**
 * One producer of a client library. `send` sends parts of one batch, each of another partition, and
 * returns one failure per part, null where Kafka acknowledged the part. The caller sends a failed
 * part again, unchanged, until Kafka acknowledges it; only a permanently rejected part may be sent
 * again in halves.
 */
export type Producer = AsyncDisposable & {
  send(batch: Batch, parts: readonly BatchPart[]): Promise<unknown[]>
}

/** A batch with records of unknown fate: the parts still to be sent, by partition. */
type Unfinished = { batch: Batch; fates: KnownFate[]; parts: Map<number, BatchPart[]> }

/**
 * An EventSink over a library's producers. The partitions of a batch are sent concurrently. A
 * permanently rejected part is bisected until the rejected records are found.
 */
export function openEventSink(
  openProducer: () => Producer,
  { brokers }: Pick<KafkaOptions, 'brokers'>,
  producer = openProducer(),
  unfinished: Unfinished | null = null,
): EventSink & AsyncDisposable {
  return {
    async send(batch) {
      if (unfinished?.batch !== batch) unfinished = splitByPartition(batch)
      const cause = await sendParts(producer, unfinished)
      const { fates, parts } = unfinished
      if (parts.size > 0) {
        const fates = knownFates(unfinished)
        throw new SinkUnavailable(describeError(cause, brokers), { cause, fates })
      }
      unfinished = null
      return fates
    },
    isolate(batch) {
      if (unfinished?.batch !== batch) {
        throw new Error('this batch has no records of unknown fate to isolate')
      }
      const remaining = remainderOf(unfinished)
      const sink = openEventSink(openProducer, { brokers }, producer, remaining)
      producer = openProducer()
      unfinished = null
      return { batch: remaining.batch, sink }
    },
    [Symbol.asyncDispose]: () => producer[Symbol.asyncDispose](),
  }
}

function splitByPartition(batch: Batch): Unfinished {
  const parts = new Map<number, BatchPart[]>()
  const indexes = batch.records.map((_, index) => index)
  for (const [partition, part] of Map.groupBy(indexes, at => batch.records[at]!.partition)) {
    parts.set(partition, [part])
  }
  return { batch, fates: indexes.map(() => null), parts }
}

/**
 * Sends the parts of each partition in order, until one part of the partition fails. Removes the
 * acknowledged and rejected parts. Returns the last failure, or null when no part remains.
 */
async function sendParts(producer: Producer, { batch, fates, parts }: Unfinished) {
  let cause: unknown = null
  const failed = new Set<number>()
  for (;;) {
    // A later part of a partition must not overtake a part of unknown fate.
    const sending = [...parts].filter(([partition]) => !failed.has(partition))
    if (sending.length === 0) return cause
    const failures = await producer.send(
      batch,
      sending.map(([, [first]]) => first!),
    )
    for (const [index, [partition, queue]] of sending.entries()) {
      const failure = failures[index]
      const rejection = permanentRejection(failure)
      if (failure !== null && rejection === null) {
        failed.add(partition)
        cause = failure
        continue
      }
      const part = queue.shift()!
      if (rejection !== null && part.length > 1) queue.unshift(...halves(part))
      else fates[part[0]!] = rejection
      if (queue.length === 0) parts.delete(partition)
    }
  }
}

const remainingIndexes = ({ parts }: Unfinished) => [...parts.values()].flat(2)

function knownFates(unfinished: Unfinished): Fates {
  const remaining = new Set(remainingIndexes(unfinished))
  return unfinished.fates.map((fate, index) => (remaining.has(index) ? undefined : fate))
}

/** The records of unknown fate as a batch of their own. */
function remainderOf(unfinished: Unfinished): Unfinished {
  const { batch, parts } = unfinished
  const indexes = remainingIndexes(unfinished).sort((a, b) => a - b)
  const newIndexes = new Map(indexes.map((index, newIndex) => [index, newIndex]))
  const records = indexes.map(index => batch.records[index]!)
  const renumber = (part: BatchPart) => part.map(index => newIndexes.get(index)!)
  return {
    batch: { topic: batch.topic, records },
    fates: records.map(() => null),
    parts: new Map([...parts].map(([partition, queue]) => [partition, queue.map(renumber)])),
  }
}

function halves(part: BatchPart): BatchPart[] {
  const middle = part.length >> 1
  return [part.slice(0, middle), part.slice(middle)]
}
