import {
  type Batch,
  type EventSink,
  type Fates,
  type Rejection,
  SinkUnavailable,
} from '../forwarder.ts'
import { describe, refusalOf } from './errors.ts'

/** A part of a batch: the indexes of its records, in order. */
export type Part = readonly number[]

/** What of a part Kafka may not have (nothing, when all is well), and what went wrong with that. */
export type Sent = { left: Part; failure: unknown }

/**
 * One producer of a library, by the way that was found safe for it. `send` may be given the same
 * part again, and only that, until nothing of it is left. Throws SinkUnavailable when no broker can
 * be reached at all.
 */
export type Producer = AsyncDisposable & { send(batch: Batch, part: Part): Promise<Sent> }

/** What is left to do of the batch whose fate is not yet known. */
type Unfinished = { batch: Batch; rejections: Rejection[]; parts: Part[] }

/**
 * The sink on any library's producers. A batch goes out as a whole; when that fails, each
 * partition's part alone and unchanged, because what was appended of a send that failed is not
 * known. A part that is refused alone, for good, is bisected, down to the records at fault.
 */
export function sinkOn(
  openProducer: () => Producer,
  producer = openProducer(),
  unfinished: Unfinished | null = null,
): EventSink & AsyncDisposable {
  return {
    async send(batch) {
      if (unfinished?.batch !== batch) {
        const all = batch.records.map((_, index) => index)
        unfinished = { batch, rejections: batch.records.map(() => null), parts: [all] }
      }
      const cause = await finish(producer, unfinished)
      const { rejections, parts } = unfinished
      if (parts.length > 0) {
        throw new SinkUnavailable(describe(cause), { cause, fates: fatesOf(unfinished) })
      }
      unfinished = null
      return rejections
    },
    setApart(batch) {
      if (unfinished?.batch !== batch) throw new Error('nothing of this batch is undecided')
      const left = leftOf(unfinished)
      const sink = sinkOn(openProducer, producer, left)
      producer = openProducer()
      unfinished = null
      return { batch: left.batch, sink }
    },
    [Symbol.asyncDispose]: () => producer[Symbol.asyncDispose](),
  }
}

/** Tries each part once and takes off those whose fate is known; gives why others are left. */
async function finish(producer: Producer, { batch, rejections, parts }: Unfinished) {
  const undecided: Part[] = []
  const stuck = new Set<number>()
  const partitionOf = (index: number) => batch.records[index]!.partition
  let cause: unknown = null
  for (let part = parts.shift(); part; part = parts.shift()) {
    // What stands behind an undecided part of its partition must not overtake it.
    if (part.some(index => stuck.has(partitionOf(index)))) {
      undecided.push(part)
      continue
    }
    const { left, failure } = await producer.send(batch, part).catch(error => {
      parts.unshift(...undecided, part!)
      throw error
    })
    if (left.length === 0) continue
    const refusal = refusalOf(failure)
    const several = [...Map.groupBy(left, partitionOf).values()]
    if (several.length > 1) {
      parts.unshift(...several)
      // What failed for all may do so for each: that is tried after the back-off.
      if (!refusal) return failure
    } else if (refusal && left.length > 1) parts.unshift(...halves(left))
    else if (refusal) rejections[left[0]!] = refusal
    else {
      undecided.push(left)
      stuck.add(partitionOf(left[0]!))
    }
    cause = failure
  }
  parts.push(...undecided)
  return cause
}

function fatesOf({ rejections, parts }: Unfinished): Fates {
  const left = new Set(parts.flat())
  return rejections.map((fate, index) => (left.has(index) ? undefined : fate))
}

/** What is left, as a batch of its own. */
function leftOf({ batch, parts }: Unfinished): Unfinished {
  const indexes = parts.flat().sort((a, b) => a - b)
  const places = new Map(indexes.map((index, place) => [index, place]))
  const records = indexes.map(index => batch.records[index]!)
  return {
    batch: { topic: batch.topic, records },
    rejections: records.map(() => null),
    parts: parts.map(part => part.map(index => places.get(index)!)),
  }
}

function halves(part: Part): Part[] {
  const middle = part.length >> 1
  return [part.slice(0, middle), part.slice(middle)]
}
