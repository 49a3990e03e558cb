// Decodes and deduplicates all records of a topic as a member of a group, and does nothing else:
// plain-consumer.ts '{"brokers":[…],"topics":[…],"events":…}'.
import { Deduplication } from '../../../cloud-bridge/consumers/runtime/deduplication.ts'
import { createRecordDecoder } from '../../../cloud-bridge/consumers/runtime/record-decoder.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import type { ReadRecord } from '../../../cloud-bridge/ports/event-stream.ts'
import { createEventReader } from '../../../cloud-bridge/registry/event-reader.ts'
import { defaults } from '../../../config/config.ts'
import type { Client } from '../arguments.ts'

export type PlainOptions = {
  brokers: readonly string[]
  topics: readonly string[]
  events: number
  client: Client
}
/** The number of records that the consumers' runtime decodes in one step. */
const AT_ONCE = 200

export type PlainResult = { events: number; duplicates: number; cpuSeconds: number }

const { brokers, topics, events, client } = JSON.parse(process.argv[2]!) as PlainOptions
const kafka = await createKafkaClient({ ...defaults.kafka, client, brokers })
const read = createRecordDecoder(createEventReader(null), topics)
const nothing = {
  get: async (keys: readonly string[]) => keys.map(() => null),
  range: async () => [],
}
const partitions = new Map<number, Deduplication>()
const found: PlainResult = { events: 0, duplicates: 0, cpuSeconds: 0 }
const ending = new AbortController()

const take = async (topic: string, records: readonly ReadRecord[]) => {
  const { partition } = records[0]!
  const arrivals = partitions.get(partition) ?? (await Deduplication.read(nothing))
  partitions.set(partition, arrivals)
  for (let from = 0; from < records.length; from += AT_ONCE) {
    const { events: fresh } = await read(records.slice(from, from + AT_ONCE))
    await arrivals.load(fresh.map(({ event }) => event))
    for (const { event } of fresh) {
      if (arrivals.arrivalOf(event, topic) === 'duplicate') found.duplicates++
      else {
        arrivals.add(event, topic)
        found.events++
      }
    }
  }
  arrivals.drainChanges()
  if (found.events + found.duplicates >= events) ending.abort()
}
const { user, system } = process.cpuUsage()
await kafka.group.consume(
  {
    ...{ groupId: `plain-${process.pid}`, topics, sessionMs: 10_000 },
    onAssigned: async own =>
      new Map(topics.map(topic => [topic, new Map(own.map(one => [one, 0]))])),
    onRecords: take,
  },
  ending.signal,
)
const used = process.cpuUsage()
found.cpuSeconds = (used.user - user + used.system - system) / 1e6
process.stdout.write(`${JSON.stringify(found)}\n`)
process.exit()
