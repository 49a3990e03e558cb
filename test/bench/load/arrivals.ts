// A process that reads Kafka, and records the bytes and the arrival time of each record. It decodes
// and judges after the run, so that decoding takes no CPU from the run. Several times a second it
// reports its number of records. "begin" clears the records; {"acknowledgedByDevice":[…]} is
// answered with the judgement.
import { createInterface } from 'node:readline'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { sharedClockUs } from './clock.ts'
import { type Arrival, judgeArrivals } from './judgement.ts'

export type ArrivalsOptions = { kafka: KafkaOptions; topic: string }
export type Progress = { records: number }

const REPORT_EVERY_MS = 200
/**
 * How long the broker waits for a record before it answers a fetch; with a record it answers at
 * once.
 */
const FETCH_WAIT_MS = 100

const { kafka, topic }: ArrivalsOptions = JSON.parse(process.argv[2]!)
const answer = (message: unknown) => process.stdout.write(`${JSON.stringify(message)}\n`)
let arrivals: Arrival[] = []

const consumer = createKafkajs(kafka).consumer({ groupId: topic, maxWaitTimeInMs: FETCH_WAIT_MS })
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch }) => {
    const atUs = sharedClockUs()
    for (const { value } of batch.messages) if (value) arrivals.push({ value, atUs })
  },
})
setInterval(() => answer({ records: arrivals.length } satisfies Progress), REPORT_EVERY_MS)

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line)
  if (message === 'begin') arrivals = []
  else {
    answer(judgeArrivals(arrivals, message.acknowledgedByDevice))
    process.exit()
  }
}
