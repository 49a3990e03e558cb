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

/** The outcome of a fault, from what a new reader finds in the topic. */
export type Outcome = {
  lost: number
  inversions: number
  /** Records that were written more than once; consumers recognise them by the events' ids. */
  duplicates: number
  /** How often the sink was unavailable. */
  failures: number
  /** From the end of the fault to the next acknowledgement. */
  recoveryMs: number
}

/** A topic on which a fault is played, and the sink to the topic. */
export type Stage = {
  topic: string
  sink: EventSink
  /** A batch of 16 or 17 records over all partitions, in different numbers, all distinct. */
  nextBatch(): Batch
  /** Delivers a batch as the bridge does; by default the next batch through this sink. */
  deliver(batch?: Batch, sink?: EventSink): Promise<KnownFate[]>
  /** Records that Kafka acknowledged these records, for a test that sends without `deliver`. */
  acknowledged(records: readonly OutgoingRecord[]): void
  /** Records that the fault still lasts now; the recovery time counts from the last call. */
  recordFault(): void
}

/** A topic, and how it is written and read. */
export type SinkRoute = {
  topic: string
  partitions: number
  sending: KafkaOptions
  reading: KafkaOptions
}

/** Plays one fault on several topics at once, each with its own sink; returns the outcomes. */
export async function playFault(
  routes: readonly SinkRoute[],
  script: (stages: Stage[]) => Promise<void>,
): Promise<Outcome[]> {
  await using sinks = new AsyncDisposableStack()
  const playing = await Promise.all(
    routes.map(async route => stageOn(route, sinks.use(await openKafkaSink(route.sending)))),
  )
  await script(playing.map(({ stage }) => stage))
  return Promise.all(playing.map(({ outcome }) => outcome()))
}

function stageOn({ topic, partitions, reading }: SinkRoute, ownSink: EventSink) {
  const sent: OutgoingRecord[] = []
  const acknowledgedAt: number[] = []
  let [batches, failures, faultAt] = [0, 0, performance.now()]
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
    sink: ownSink,
    nextBatch,
    async deliver(batch = nextBatch(), sink = ownSink) {
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
    recordFault() {
      faultAt = performance.now()
    },
  }
  const outcome = async (): Promise<Outcome> => {
    const found = await readTopic(reading, topic)
    const recoveredAt = acknowledgedAt.find(at => at >= faultAt) ?? Number.POSITIVE_INFINITY
    return { ...assessOutcome(sent, found), failures, recoveryMs: recoveredAt - faultAt }
  }
  return { stage, outcome }
}

/** Compares the acknowledged records, in order, with the records in each partition. */
export function assessOutcome(
  sent: readonly OutgoingRecord[],
  found: { value: Buffer }[][],
): Pick<Outcome, 'lost' | 'inversions' | 'duplicates'> {
  const totals = { lost: 0, inversions: 0, duplicates: 0 }
  for (const [partition, records] of found.entries()) {
    const texts = records.map(({ value }) => value.toString('latin1'))
    const firsts = [...new Set(texts)]
    const own = sent.filter(record => record.partition === partition)
    const positions = new Map(own.map(({ value }, at) => [value.toString('latin1'), at]))
    const order = firsts.flatMap(text => positions.get(text) ?? [])
    totals.lost += positions.size - order.length
    totals.duplicates += texts.length - firsts.length
    totals.inversions += order.filter((at, index) => index > 0 && at < order[index - 1]!).length
  }
  const strays = sent.filter(({ partition }) => partition >= found.length)
  return { ...totals, lost: totals.lost + strays.length }
}
