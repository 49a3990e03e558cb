import type { Config } from '../../config/config.ts'
import { partitionOf } from '../../config/event/partitioner.ts'
import { decodeEvent } from '../../config/event/sensor-reading.ts'
import { CannotStart } from '../../config/process/lifetime.ts'
import { createDelivery } from '../forward/forwarder.ts'
import { createConfiguredFraming } from '../framing/configured-framing.ts'
import { type KafkaClient, NoSuchTopic } from '../kafka/client.ts'
import { createCommandClient } from '../kafka/configured-client.ts'
import type { EventStream } from '../ports/event-stream.ts'
import { createCircuitBreaker } from '../retry/circuit-breaker.ts'
import { type ImportCounts, type ImportOptions, importRecordings } from './import.ts'

const BACKOFF = { firstMs: 200, maxMs: 10_000, stableMs: 30_000 }
/** Each run of the command asks the registry for the ids of schemas. */
const NO_SCHEMA_ID_CACHE = { schemaId: () => null, keepSchemaId() {} }
/** Each ms since 1970 has 1000 epochs, so that two imports rarely have the same epoch. */
const EPOCHS_PER_MS = 1000

export type ImportToKafkaOptions = Pick<
  ImportOptions,
  'paths' | 'mapping' | 'skipsFaults' | 'onFault' | 'onProgress' | 'topic'
> & {
  config: Config
  /** How columns are read; see RecordingOptions. */
  columns: Pick<
    ImportOptions,
    'site' | 'zone' | 'device' | 'timeColumn' | 'textColumns' | 'decimal'
  >
  signal: AbortSignal
  onMessage(line: string): void
}

/**
 * Imports recordings to a topic in Kafka. Creates the topic when it is missing, with as many
 * partitions as the readings have and without a retention limit. Resolves with null when `signal`
 * aborts. Rejects with CannotStart when Kafka or the topic cannot be used.
 */
export async function importToKafka(options: ImportToKafkaOptions): Promise<ImportCounts | null> {
  const { config, columns, topic, signal, onMessage } = options
  const { brokers, topics: liveTopics } = config.kafka
  if (brokers.length === 0) {
    throw new CannotStart('kafka.brokers is not configured: list brokers as host:port')
  }
  if (Object.values(liveTopics).includes(topic)) {
    throw new CannotStart(`${topic} is a topic of live events: name another topic with --topic`)
  }
  const kafka = await createCommandClient(config.kafka, onMessage)
  const asCannotStart = (error: Error) => {
    if (error instanceof CannotStart) throw error
    const fault = `topic ${topic} cannot be used: ${error.message}`
    throw new CannotStart(fault, { isTemporary: true, cause: error })
  }
  const partitions = await prepareTopic(kafka, topic, config).catch(asCannotStart)
  const known = await readKnownIds(kafka.stream, topic).catch(asCannotStart)
  if (known.size > 0) onMessage(`${topic} has ${known.size} events already`)
  await using sink = kafka.openSink()
  return await importRecordings({
    ...{ ...options, ...columns, known },
    epoch: Date.now() * EPOCHS_PER_MS + Math.floor(Math.random() * EPOCHS_PER_MS),
    partitionOf: zone => partitionOf(Buffer.from(zone), partitions),
    deliver: createDelivery({
      ...{ sink, signal },
      circuit: createCircuitBreaker(BACKOFF),
      onUnavailable: reason => onMessage(`events wait, the send is retried: ${reason}`),
    }),
    frame: createConfiguredFraming(config, NO_SCHEMA_ID_CACHE, signal, onMessage),
    onRejected: ({ id }, reason) => onMessage(`${id}: Kafka rejects the event for good: ${reason}`),
  })
}

/** Creates the topic when it is missing. Resolves with its number of partitions. */
async function prepareTopic(
  { topics }: KafkaClient,
  topic: string,
  { kafka }: Config,
): Promise<number> {
  try {
    return await topics.partitionsOf(topic)
  } catch (error) {
    if (!(error instanceof NoSuchTopic)) throw error
  }
  const partitions = await topics.partitionsOf(kafka.topics.readings).catch(error => {
    if (error instanceof NoSuchTopic) return kafka.partitions ?? 1
    throw error
  })
  await topics.create([{ topic, partitions, isKept: true }])
  return partitions
}

/** The ids of all events of a topic. Rejects with CannotStart when a record is no event. */
async function readKnownIds(stream: EventStream, topic: string): Promise<Set<string>> {
  const known = new Set<string>()
  const { begin, end } = (await stream.topicOffsets([topic])).get(topic)!
  let fault: string | null = null
  await stream.readBetween(topic, begin, end, ({ partition, offset, value }) => {
    try {
      known.add(decodeEvent(value).id)
    } catch (error) {
      // A client library retries a read whose callback throws.
      fault ??= `partition ${partition}, offset ${offset}: ${(error as Error).message}`
    }
  })
  if (fault === null) return known
  throw new CannotStart(`${topic} has a record that is no event (${fault}): name another --topic`)
}
