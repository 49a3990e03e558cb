import {
  type Batch,
  type EventSink,
  type Fates,
  type KnownFate,
  SinkUnavailable,
} from '../ports/event-sink.ts'
import { describeError, permanentRejection } from './errors.ts'

/** A part of a batch: the indexes of some of one partition's records, in order. */
export type BatchPart = readonly number[]

/**
 * One producer of a library, by the way that was found safe for it. `send` sends parts of one
 * batch, each of another partition, and says for each what went wrong: null when Kafka has it. A
 * part is given again, unchanged, until Kafka has it; only one that was refused for good may come
 * back in halves.
 */
export type Producer = AsyncDisposable & {
  send(batch: Batch, parts: readonly BatchPart[]): Promise<unknown[]>
}

/** What is left to do of the batch whose fate is not yet known: of each partition its parts. */
type Unfinished = { batch: Batch; rejections: KnownFate[]; parts: Map<number, BatchPart[]> }

/**
 * The sink on any library's producers. The partitions of a batch go out side by side; a part that
 * is refused for good is bisected, down to the records at fault.
 */
export function openEventSink(
  openProducer: () => Producer,
  producer = openProducer(),
  unfinished: Unfinished | null = null,
): EventSink & AsyncDisposable {
  return {
    async send(batch) {
      if (unfinished?.batch !== batch) {
        unfinished = begin(batch)
      }
      const cause = await finish(producer, unfinished)
      const { rejections, parts } = unfinished
      if (parts.size > 0) {
        throw new SinkUnavailable(describeError(cause), { cause, fates: fatesOf(unfinished) })
      }
      unfinished = null
      return rejections
    },
    isolate(batch) {
      if (unfinished?.batch !== batch) throw new Error('nothing of this batch is undecided')
      const left = leftOf(unfinished)
      const sink = openEventSink(openProducer, producer, left)
      producer = openProducer()
      unfinished = null
      return { batch: left.batch, sink }
    },
    [Symbol.asyncDispose]: () => producer[Symbol.asyncDispose](),
  }
}

function begin(batch: Batch): Unfinished {
  const parts = new Map<number, BatchPart[]>()
  const indexes = batch.records.map((_, index) => index)
  for (const [partition, part] of Map.groupBy(indexes, at => batch.records[at]!.partition)) {
    parts.set(partition, [part])
  }
  return { batch, rejections: indexes.map(() => null), parts }
}

/** Tries each partition until one try fails; gives why, when parts are left. */
async function finish(producer: Producer, { batch, rejections, parts }: Unfinished) {
  let cause: unknown = null
  const stuck = new Set<number>()
  for (;;) {
    // What stands behind an undecided part of its partition must not overtake it.
    const trying = [...parts].filter(([partition]) => !stuck.has(partition))
    if (trying.length === 0) return cause
    const failures = await producer.send(
      batch,
      trying.map(([, [first]]) => first!),
    )
    for (const [index, [partition, queue]] of trying.entries()) {
      const failure = failures[index]
      const refusal = permanentRejection(failure)
      if (failure !== null && refusal === null) {
        stuck.add(partition)
        cause = failure
        continue
      }
      const part = queue.shift()!
      if (refusal !== null && part.length > 1) queue.unshift(...halves(part))
      else rejections[part[0]!] = refusal
      if (queue.length === 0) parts.delete(partition)
    }
  }
}

const leftIn = ({ parts }: Unfinished) => [...parts.values()].flat(2)

function fatesOf(unfinished: Unfinished): Fates {
  const left = new Set(leftIn(unfinished))
  return unfinished.rejections.map((fate, index) => (left.has(index) ? undefined : fate))
}

/** What is left, as a batch of its own. */
function leftOf(unfinished: Unfinished): Unfinished {
  const { batch, parts } = unfinished
  const indexes = leftIn(unfinished).sort((a, b) => a - b)
  const places = new Map(indexes.map((index, place) => [index, place]))
  const records = indexes.map(index => batch.records[index]!)
  const placed = (part: BatchPart) => part.map(index => places.get(index)!)
  return {
    batch: { topic: batch.topic, records },
    rejections: records.map(() => null),
    parts: new Map([...parts].map(([partition, queue]) => [partition, queue.map(placed)])),
  }
}

function halves(part: BatchPart): BatchPart[] {
  const middle = part.length >> 1
  return [part.slice(0, middle), part.slice(middle)]
}
