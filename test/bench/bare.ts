// A client library alone, a process of its own: produces the batches that the bridge would take from
// an outbox, one send at a time. They are read and framed beforehand, a few at a time while the
// clock stands still, so that nothing but the library is measured and memory stays as it is.
import { setPriority } from 'node:os'
import type { Batch } from '../../cloud-bridge/forwarder.ts'
import { singleObject } from '../../cloud-bridge/framing.ts'
import type { KafkaOptions } from '../../cloud-bridge/kafka/client.ts'
import { startPartitioner } from '../../cloud-bridge/partitions.ts'
import { openOutboxReader } from '../../gateway/store/outbox-reader.ts'
import { type TakeLimits, takeFrom } from '../../gateway/store/take.ts'
import { openBareKafkajs } from './bare-kafkajs.ts'
import { openBarePlatformatic } from './bare-platformatic.ts'
import { sentBytes } from './sent.ts'

export type BareOptions = {
  file: string
  kafka: KafkaOptions
  topic: string
  partitions: number
  limits: TakeLimits
  /** The number of the first event to send. */
  from: number
  /** Sent before the clock starts. */
  warmUpEvents: number
  events: number
}

export type BareResult = { events: number; seconds: number; cpuSeconds: number; sentBytes: number }

/** A library on its own: what `prepare` gives is sent as it is, and `send` is what is measured. */
export type Bare<P> = {
  prepare(batch: Batch): P
  send(prepared: P): Promise<unknown>
  close(): Promise<void>
}

const READ_AHEAD_BATCHES = 20

// As the bridge has it: what else runs on this machine is to disturb both alike.
setPriority(6)
const options: BareOptions = JSON.parse(process.argv[2]!)
const open = { kafkajs: openBareKafkajs, platformatic: openBarePlatformatic }
const bare: Bare<unknown> = await open[options.kafka.client](options.kafka)
const nextBatch = batchesFrom(options.from)
const warmUp = await produce(options.warmUpEvents)
const result = await produce(options.events)
result.sentBytes -= warmUp.sentBytes
await bare.close()
process.stdout.write(`${JSON.stringify(result)}\n`)
process.exit()

async function produce(count: number): Promise<BareResult> {
  let [events, seconds, cpuSeconds] = [0, 0, 0]
  while (events < count) {
    const batches: unknown[] = []
    while (batches.length < READ_AHEAD_BATCHES && events < count) {
      const batch = await nextBatch()
      events += batch.records.length
      batches.push(bare.prepare(batch))
    }
    const [cpuBefore, startedMs] = [process.cpuUsage(), performance.now()]
    for (const batch of batches) await bare.send(batch)
    seconds += (performance.now() - startedMs) / 1000
    const { user, system } = process.cpuUsage(cpuBefore)
    cpuSeconds += (user + system) / 1e6
  }
  return { events, seconds, cpuSeconds, sentBytes: sentBytes() }
}

function batchesFrom(from: number): () => Promise<Batch> {
  const { file, topic, partitions, limits } = options
  const reader = openOutboxReader(file)!
  const place = startPartitioner(partitions)
  const rest = { id: 0, end: null, topic, partitions, zones: null, reason: '' }
  let range = { ...rest, store: reader.store, next: from }
  const nothing = { move() {}, addNotes() {} }
  return async () => {
    const taken = takeFrom(reader, nothing, range, limits)
    if (!taken) throw new Error('the outbox has too few events')
    range = { ...range, next: taken.next }
    const framed = await singleObject(taken.events)
    const records = framed.map((one, index) => ({ ...place(taken.events[index]!.zone), ...one }))
    return { topic, records }
  }
}
