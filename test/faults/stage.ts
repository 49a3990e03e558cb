import { createDelivery } from '../../cloud-bridge/forward/forwarder.ts'
import type { KafkaOptions } from '../../cloud-bridge/kafka/client.ts'
import type {
  Batch,
  EventSink,
  KnownFate,
  OutgoingRecord,
} from '../../cloud-bridge/ports/event-sink.ts'
import { createCircuitBreaker } from '../../cloud-bridge/retry/circuit-breaker.ts'
import { openKafkaSink, readTopic } from '../setup/kafka/kafka.ts'

/** What a fault came to, by what a fresh reader finds in the topic. */
export type Outcome = {
  lost: number
  inversions: number
  /** Written more than once; the events' ids are there for that. */
  duplicates: number
  /** How often the sink said that it is unavailable. */
  failures: number
  /** From the end of the fault to the next acknowledgement. */
  recoveryMs: number
}

/** Where a fault is played. */
export type Stage = {
  topic: string
  sink: EventSink
  /** A batch of 17 records over all partitions, in numbers that differ, no record like another. */
  nextBatch(): Batch
  /** Delivers a batch as the bridge does, through this sink unless told otherwise. */
  deliver(batch?: Batch, sink?: EventSink): Promise<KnownFate[]>
  /** Notes what Kafka has by another way than `deliver`. */
  acknowledged(records: readonly OutgoingRecord[]): void
  /** Something stands in the way until now. */
  hurt(): void
}

/** A topic, and how it is written and read. */
export type SinkRoute = {
  topic: string
  partitions: number
  sending: KafkaOptions
  reading: KafkaOptions
}

/** Plays one fault on several topics at once, each through a sink of its own, and judges it. */
export async function playFault(
  ways: readonly SinkRoute[],
  script: (stages: Stage[]) => Promise<void>,
): Promise<Outcome[]> {
  await using sinks = new AsyncDisposableStack()
  const performances = await Promise.all(
    ways.map(async way => stageOn(way, sinks.use(await openKafkaSink(way.sending)))),
  )
  await script(performances.map(({ stage }) => stage))
  return Promise.all(performances.map(({ outcome }) => outcome()))
}

function stageOn({ topic, partitions, reading }: SinkRoute, own: EventSink) {
  const sent: OutgoingRecord[] = []
  const acknowledgedAt: number[] = []
  let [batches, failures, hurtAt] = [0, 0, performance.now()]
  const nextBatch = (): Batch => {
    const index = batches++
    const records = Array.from({ length: 17 - (index % 2) }, (_, at) => {
      const partition = (at * 5 + index) % partitions
      const value = Buffer.from(`${index}.${at}`)
      return { key: Buffer.from(`zone ${partition}`), partition, value }
    })
    return { topic, records }
  }
  const acknowledged = (records: readonly OutgoingRecord[]) => {
    acknowledgedAt.push(performance.now())
    sent.push(...records)
  }
  const stage: Stage = {
    topic,
    sink: own,
    nextBatch,
    async deliver(batch = nextBatch(), sink = own) {
      const fates = (await createDelivery({
        sink,
        signal: new AbortController().signal,
        circuit: createCircuitBreaker({ firstMs: 50, maxMs: 500, stableMs: 0 }),
        onUnavailable: () => void failures++,
      })(batch))!
      acknowledged(batch.records.filter((_, index) => fates[index] === null))
      return fates
    },
    acknowledged,
    hurt() {
      hurtAt = performance.now()
    },
  }
  const outcome = async (): Promise<Outcome> => {
    const found = await readTopic(reading, topic)
    const recoveredAt = acknowledgedAt.find(at => at >= hurtAt) ?? Number.POSITIVE_INFINITY
    return { ...assessOutcome(sent, found), failures, recoveryMs: recoveredAt - hurtAt }
  }
  return { stage, outcome }
}

/** Compares what was acknowledged, in order, with what stands in each partition. */
export function assessOutcome(
  sent: readonly OutgoingRecord[],
  found: { value: Buffer }[][],
): Pick<Outcome, 'lost' | 'inversions' | 'duplicates'> {
  const totals = { lost: 0, inversions: 0, duplicates: 0 }
  for (const [partition, records] of found.entries()) {
    const texts = records.map(({ value }) => value.toString('latin1'))
    const firsts = [...new Set(texts)]
    const own = sent.filter(one => one.partition === partition)
    const places = new Map(own.map(({ value }, at) => [value.toString('latin1'), at]))
    const order = firsts.flatMap(text => places.get(text) ?? [])
    totals.lost += places.size - order.length
    totals.duplicates += texts.length - firsts.length
    totals.inversions += order.filter((at, index) => index > 0 && at < order[index - 1]!).length
  }
  const strays = sent.filter(({ partition }) => partition >= found.length)
  return { ...totals, lost: totals.lost + strays.length }
}
