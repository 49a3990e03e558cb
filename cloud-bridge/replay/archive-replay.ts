import type { Config } from '../../config/config.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { createNoArchiveError } from '../consumers/archive/committed-files.ts'
import { listPartitions } from '../consumers/archive/manifest/day-files.ts'
import { replayArchive } from '../consumers/archive/replay.ts'
import { createDelivery } from '../forward/forwarder.ts'
import { createConfiguredFraming } from '../framing/configured-framing.ts'
import { createCommandClient } from '../kafka/configured-client.ts'
import { partitionCount } from '../partitions/topic-check.ts'
import { createCircuitBreaker } from '../retry/circuit-breaker.ts'

const BACKOFF = { firstMs: 200, maxMs: 10_000, stableMs: 30_000 }

/**
 * Schema ids are not stored between runs, because the command is short-lived: each run requests
 * them from the registry.
 */
const NO_SCHEMA_ID_CACHE = { schemaId: () => null, keepSchemaId() {} }

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
 * Sends the archived events of a time interval to a topic, without a running bridge. Returns how
 * many events Kafka has stored, or null when `signal` aborts; a second run then sends all of them
 * again, under the same ids. Rejects with CannotStart when the archive or the topic does not exist.
 */
export async function replayFromArchive(options: ArchiveReplayOptions): Promise<number | null> {
  const { config, dir, topic, signal, onProblem } = options
  if ((await listPartitions(dir)).length === 0) throw createNoArchiveError(dir, '--archive')
  if (config.kafka.brokers.length === 0) {
    throw new CannotStart('kafka.brokers is not configured: list brokers as host:port')
  }
  const kafka = await createCommandClient(config.kafka, options.onProblem)
  const partitions = await partitionCount(topic, kafka.topics.partitionsOf).catch(error => {
    throw new CannotStart(`topic ${topic} cannot be checked: ${error.message}`, {
      isTemporary: true,
    })
  })
  if (partitions === 0)
    throw new CannotStart(`Kafka has no topic ${topic}: create it, or name another with --topic`)
  await using sink = kafka.openSink()
  const deliver = createDelivery({
    ...{ sink, signal },
    circuit: createCircuitBreaker(BACKOFF),
    onUnavailable: reason => onProblem(`events wait, the send is retried: ${reason}`),
  })
  return await replayArchive({
    ...options,
    ...{
      partitions,
      deliver,
      frame: createConfiguredFraming(config, NO_SCHEMA_ID_CACHE, signal, onProblem),
    },
    onRejected: ({ event }, reason) =>
      onProblem(`${event.id}: Kafka rejects the event for good: ${reason}`),
  })
}
