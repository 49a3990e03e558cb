// The reader of Kafka, a process of its own: notes when each record could be read and keeps its
// bytes; only when all is over it decodes and judges, so that decoding takes nothing from the run.
// It says how many records it has several times a second. On "begin" it forgets what it has; on
// {"acknowledgedByDevice":[…]} it answers with the judgement.
import { createInterface } from 'node:readline'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkajs } from '../../../cloud-bridge/kafka/kafkajs/configuration.ts'
import { sharedClockUs } from './clock.ts'
import { type Arrival, judge } from './judgement.ts'

export type ArrivalsOptions = { kafka: KafkaOptions; topic: string }
export type Progress = { records: number }

const REPORT_EVERY_MS = 200
/** The broker answers as soon as there is anything; this is how often it answers without. */
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
    answer(judge(arrivals, message.acknowledgedByDevice))
    process.exit()
  }
}
