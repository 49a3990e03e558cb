// A process with a client library alone: produces the batches that the bridge would read from an
// outbox, one send at a time. Reads and frames batches in advance, while the clock is stopped, so
// that only the library is measured. Each line on stdin is the length of a turn in milliseconds;
// the answer is the work of that turn.
import { setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import type { Batch } from '../../../cloud-bridge/ports/event-sink.ts'
import { createPartitioner } from '../../../config/event/partitioner.ts'
import type { StoredEvent } from '../../../gateway/store/groups/group-codec.ts'
import { openOutboxReader } from '../../../gateway/store/read/outbox-reader.ts'
import type { Work } from '../measure/turns.ts'
import { openBareKafkajs } from './kafkajs.ts'
import type { BareLibrary } from './library.ts'
import { openBarePlatformatic } from './platformatic.ts'
import { sentBytes } from './sent.ts'

export type BareOptions = {
  file: string
  kafka: KafkaOptions
  topic: string
  partitions: number
  /** The largest batch of the bridge. */
  limits: { maxEvents: number }
}

/** The work of one turn. */
export type Turn = Work & { sentBytes: number }

const READ_AHEAD_BATCHES = 20

// The bridge's scheduling priority, so that other load disturbs the bridge and this process alike.
setPriority(6)
const options: BareOptions = JSON.parse(process.argv[2]!)
const open = { kafkajs: openBareKafkajs, platformatic: openBarePlatformatic }
const bare: BareLibrary<unknown> = await open[options.kafka.client](options.kafka)
const nextBatch = batches()
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await produce(Number(line) / 1000))}\n`)
}
process.exit()

async function produce(forSeconds: number): Promise<Turn> {
  let [events, seconds, cpuSeconds] = [0, 0, 0]
  const sentBefore = sentBytes()
  while (seconds < forSeconds) {
    const some: unknown[] = []
    while (some.length < READ_AHEAD_BATCHES) {
      const batch = await nextBatch()
      events += batch.records.length
      some.push(bare.prepare(batch))
    }
    const [cpuBefore, startedMs] = [process.cpuUsage(), performance.now()]
    for (const one of some) await bare.send(one)
    seconds += (performance.now() - startedMs) / 1000
    const { user, system } = process.cpuUsage(cpuBefore)
    cpuSeconds += (user + system) / 1e6
  }
  return { events, seconds, cpuSeconds, sentBytes: sentBytes() - sentBefore }
}

/** Returns the batches that the bridge would read from the outbox, starting over at the end. */
function batches(): () => Promise<Batch> {
  const { file, topic, partitions, limits } = options
  const reader = openOutboxReader(file)!
  const place = createPartitioner(partitions)
  let next = reader.firstSequence!
  const nextEvents = (): StoredEvent[] => {
    const group = reader.groupAt(next)
    next = group ? group.sequence + group.count : reader.firstSequence!
    return Array.isArray(group?.content) ? group.content : []
  }
  return async () => {
    const events: StoredEvent[] = []
    while (events.length < limits.maxEvents) events.push(...nextEvents())
    const framed = await singleObjectFraming(topic, events)
    const records = events.map(({ zone }, index) => ({
      ...place(zone),
      value: framed.values[index]!,
      headers: framed.headers[index]!,
    }))
    return { topic, records }
  }
}
