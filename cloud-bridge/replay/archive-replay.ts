import type { Config } from '../../config/config.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { replayArchive } from '../consumers/archive/replay.ts'
import { createDelivery } from '../forward/forwarder.ts'
import { createConfiguredFraming } from '../framing/configured-framing.ts'
import { createKafkaClient } from '../kafka/configured-client.ts'
import { describeError } from '../kafka/errors.ts'
import { partitionCount } from '../partitions/topic-check.ts'
import { createCircuitBreaker } from '../retry/circuit-breaker.ts'

const BACKOFF = { firstMs: 200, maxMs: 10_000, stableMs: 30_000 }

/** Nothing of this command outlives it: the registry is asked each time. */
const UNKEPT = { schemaId: () => null, keepSchemaId() {} }

export type ArchiveReplayOptions = {
  config: Config
  dir: string
  fromMs: number
  toMs: number
  zone?: string | undefined
  topic: string
  signal: AbortSignal
  onProblem(line: string): void
}

/**
 * Sends what an archive has of a time to a topic, itself: no bridge needs to run. Gives how many
 * events Kafka has, or null when it was asked to end; then the same once more sends all of them
 * again, under the same ids. Rejects with CannotStart when there is no such topic.
 */
export async function replayFromArchive(options: ArchiveReplayOptions): Promise<number | null> {
  const { config, topic, signal, onProblem } = options
  if (config.kafka.brokers.length === 0) {
    throw new CannotStart('kafka.brokers is not configured: name some brokers, host:port each')
  }
  const kafka = await createKafkaClient(config.kafka)
  const partitions = await partitionCount(topic, kafka.topics.partitionsOf).catch(error => {
    throw new CannotStart(describeError(error), { isTemporary: true })
  })
  if (partitions === 0) throw new CannotStart(`Kafka has no topic ${topic}`)
  await using sink = kafka.openSink()
  const deliver = createDelivery({
    ...{ sink, signal },
    circuit: createCircuitBreaker(BACKOFF),
    onUnavailable: reason => onProblem(reason),
  })
  return replayArchive({
    ...options,
    ...{ partitions, deliver, frame: createConfiguredFraming(config, UNKEPT, signal, onProblem) },
    onRejected: ({ event }, reason) =>
      onProblem(`${event.id}: Kafka will never take it: ${reason}`),
  })
}
