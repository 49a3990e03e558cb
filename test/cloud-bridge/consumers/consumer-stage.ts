import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  ConsumerContext,
  ConsumerDefinition,
} from '../../../cloud-bridge/consumers/catalogue.ts'
import { createConsumerProcess } from '../../../cloud-bridge/consumers/process.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { type Config, defaults } from '../../../config/config.ts'
import { encodeEvent, type SensorReading } from '../../../config/event/sensor-reading.ts'
import { createLog } from '../../../config/process/log.ts'
import { sharedKafka } from '../../setup/kafka/kafka.ts'

export type ConsumerStage = Awaited<ReturnType<typeof openConsumerStage>>

/** Topics on the shared Kafka, and a folder for states. Only one test uses them. */
export async function openConsumerStage(partitions: number) {
  await using stack = new AsyncDisposableStack()
  const run = randomUUID()
  const kafka = await createKafkaClient(sharedKafka())
  const [readings, backfill] = [`readings-${run}`, `backfill-${run}`]
  const [deadletters, ledger] = [`deadletters-${run}`, `ledger-${run}`]
  const [out, aggregates] = [`out-${run}`, `aggregates-${run}`]
  const all = { readings, backfill, deadletters, ledger, out, aggregates }
  await kafka.topics.create(Object.values(all).map(topic => ({ topic, partitions })))
  const dir = mkdtempSync(join(tmpdir(), 'sluice-consumer-'))
  stack.defer(() => rmSync(dir, { recursive: true, force: true }))
  const { consumers } = defaults
  const config: Config = {
    ...defaults,
    kafka: {
      ...defaults.kafka,
      ...sharedKafka(),
      topics: { readings, backfill, deadletters, ledger },
    },
    consumers: { ...consumers, dir, analytics: { ...consumers.analytics, topic: aggregates } },
  }
  const sink = stack.use(kafka.openSink())
  const opened = stack.move()
  return {
    config,
    run,
    topics: all,
    /** Sends events in order, each to the partition that `partitionOf` gives. */
    async send(
      topic: string,
      events: readonly SensorReading[],
      partitionOf: (event: SensorReading) => number = () => 0,
    ): Promise<void> {
      const records = events.map(event => ({
        ...{ key: Buffer.from(event.zone), partition: partitionOf(event) },
        value: encodeEvent(event),
      }))
      for (let at = 0; at < records.length; at += 5000) {
        await sink.send({ topic, records: records.slice(at, at + 5000) })
      }
    },
    /** The context of a consumer process, without logs. */
    async openProcess(name: string) {
      const stack = new AsyncDisposableStack()
      const ending = new AbortController()
      const { signal } = ending
      const log = createLog(name, { level: 'silent' })
      const own = await createKafkaClient(config.kafka)
      const runtime = createConsumerProcess({ name, config, kafka: own, log, signal })
      const context: ConsumerContext = { config, runtime, kafka: own, stack, log, signal }
      return { context, ending }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Runs a consumer as its process does, in a group of its own. */
export async function startConsumer(on: ConsumerStage, definition: ConsumerDefinition) {
  const { context, ending } = await on.openProcess(definition.name)
  const { runtime, stack } = context
  const opened = await definition.open(context)
  const running = runtime.run(opened.openWork, { groupId: `${definition.name}-${on.run}` })
  const stop = async () => {
    ending.abort()
    await running
    await stack.disposeAsync()
  }
  return { ...opened, runtime, running, [Symbol.asyncDispose]: stop }
}
