import type { RequestListener } from 'node:http'
import type { Config } from '../../config/config.ts'
import type { ServedNames } from '../../config/process/host-check.ts'
import { serveHttp } from '../../config/process/http-server.ts'
import type { createLog } from '../../config/process/log.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { createEventReader } from '../registry/event-reader.ts'
import { createRegistryClient } from '../registry/registry.ts'
import { createDependencyStatus } from './dependency-status.ts'
import type { OpenedCheck } from './empty-state.ts'
import { type Lag, startLagWatch } from './lag.ts'
import { createConsumerMetrics } from './metrics.ts'
import { createDeadLetterProducer } from './runtime/dead-letter-producer.ts'
import { createDependencyRetry } from './runtime/dependency-retry.ts'
import { createEffectRelay } from './runtime/effect-relay.ts'
import type { ArrivalCounts, Handling } from './runtime/handler.ts'
import { type MemberOptions, runMember } from './runtime/member.ts'
import type { Consumer, PartitionWork } from './runtime/partition-work.ts'
import { createRecordDecoder } from './runtime/record-decoder.ts'
import { openStatefulWork } from './runtime/stateful-work.ts'
import { createUnusableReport } from './runtime/unusable-report.ts'
import type { ConsumerStateAccess, PartitionState } from './state/state.ts'

export type ConsumerProcessOptions = {
  name: string
  /** The topics to read, without the topics of live events if given. */
  topics?: readonly string[]
  config: Config
  kafka: KafkaClient
  log: ReturnType<typeof createLog>
  signal: AbortSignal
}

export type ConsumerProcess = ReturnType<typeof createConsumerProcess>

/**
 * Creates the parts of every consumer process: reading, sending, retries, metrics and HTTP pages.
 */
export function createConsumerProcess(options: ConsumerProcessOptions) {
  const { name, config, kafka, log, signal } = options
  const { readings, backfill, deadletters: deadLetterTopic } = config.kafka.topics
  const topics = options.topics ?? [readings, backfill]
  const works = new Map<number, PartitionWork>()
  let lag: Lag = { recordsByTopic: new Map(), atMs: 0 }
  const metrics = createConsumerMetrics(name, { lag: () => lag.recordsByTopic })
  const { url, ...registry } = config.registry
  const client = url === null ? null : createRegistryClient({ ...registry, url, signal })
  const unusable = createUnusableReport(log)
  const dependencies = createDependencyStatus(log, () => metrics.countFault('away'))
  const producerOptions = () => ({
    ...{ sink: kafka.openSink(), partitionsOf: kafka.topics.partitionsOf, signal },
    onUnavailable: dependencies.reporterOf('Kafka producer'),
    onRejected({ id, topic }: { id: string; topic: string }, reason: string) {
      metrics.countFault('refused')
      log.error(
        { id, topic, reason },
        'Kafka rejected this record for good; the record is not sent again',
      )
    },
  })

  const nextOffset = (topic: string, partition: number) =>
    works.has(partition) ? (works.get(partition)!.nextOffsets.get(topic) ?? 0) : null

  return {
    ...{ metrics, deadLetterTopic, topics, groupId: `sluice-${name}` },
    /** Reports a record that becomes a dead letter. */
    onUnusable: unusable.add,
    /**
     * Returns the function that reports why a dependency is unavailable; null: it is available
     * again.
     */
    dependencyReporter: dependencies.reporterOf,
    retryWhileUnavailable: createDependencyRetry(dependencies.reporterOf('state and registry')),
    decodeRecords: createRecordDecoder(createEventReader(client), topics),
    /** Creates the relay that sends the effects of all partitions of the process. */
    createEffectRelay: () =>
      createEffectRelay({ ...producerOptions(), onSent: metrics.countEffects }),
    createDeadLetterProducer: () =>
      unusable.reportSent(createDeadLetterProducer(producerOptions())),
    /** The next offset of a partition, or null when another member owns the partition. */
    nextOffset,
    /**
     * Runs the consumer as a member of its group until `until` aborts. Rejects with an error that a
     * retry cannot fix.
     */
    async run(
      open: Consumer['open'],
      { groupId = `sluice-${name}`, until = signal, check = noCheck }: RunOptions = {},
    ): Promise<void> {
      const openAndKeep: Consumer['open'] = async (partition, ending) => {
        const work = await openChecked(open, check, partition, ending)
        works.set(partition, work)
        return work
      }
      const onUnavailable = dependencies.reporterOf('consumer group')
      const watch = { signal: until, onPolled: () => onUnavailable(null) }
      lag = startLagWatch(kafka.stream, topics, nextOffset, watch)
      await runMember({
        ...{ consumer: { name, open: openAndKeep }, group: kafka.group, groupId, topics },
        ...{ signal: until, sessionMs: config.consumers.sessionTimeoutMs, onUnavailable },
        ...createMemberReports(log, metrics),
        onPartitions(partitions) {
          for (const partition of works.keys()) {
            if (!partitions.includes(partition)) works.delete(partition)
          }
          log.info({ partitions }, 'partitions assigned')
        },
      })
    },
    /** Serves the HTTP pages of the process. `fallback` answers every other request. */
    serve: (http: ServedNames & { port: number }, key: string, fallback?: RequestListener) =>
      serveHttp({
        onListening: address => log.info(address, 'HTTP pages'),
        alarms: unusable.alarms,
        ...http,
        key,
        notReadyReasons: dependencies.unavailableReasons,
        metrics: metrics.text,
        state: (): ConsumerProcessState => ({
          ...{ part: 'consumer', name, pid: process.pid, partitions: [...works.keys()] },
          ...{ lag: Object.fromEntries(lag.recordsByTopic), lagAtMs: lag.atMs },
          ...{ away: dependencies.unavailable(), ...metrics.totals },
        }),
        ...(fallback && { fallback }),
      }),
  }
}

type RunOptions = { groupId?: string; until?: AbortSignal; check?: OpenedCheck }
const noCheck: OpenedCheck = async () => {}

async function openChecked(
  open: Consumer['open'],
  check: OpenedCheck,
  ...[partition, ending]: Parameters<Consumer['open']>
): Promise<PartitionWork> {
  const work = await open(partition, ending)
  try {
    await check(partition, work.nextOffsets)
    return work
  } catch (error) {
    await work[Symbol.asyncDispose]()
    throw error
  }
}

/** Logs and counts what a member reports. */
function createMemberReports(
  log: ConsumerProcessOptions['log'],
  metrics: ReturnType<typeof createConsumerMetrics>,
): Pick<MemberOptions, 'onDeleted' | 'onRejoin'> {
  return {
    onDeleted(gap) {
      metrics.countFault('deleted', gap.to - gap.from)
      log.error(
        gap,
        'Kafka deleted these records before they were read; raise the retention of the topic',
      )
    },
    onRejoin(reason) {
      metrics.countFault('joined anew')
      log.warn({ reason }, 'group membership ended; joining again')
    },
  }
}

/** The JSON of the page /state of a consumer process. */
export type ConsumerProcessState = {
  part: 'consumer'
  name: string
  pid: number
  partitions: number[]
  /** Unprocessed records of those partitions, by topic, at `lagAtMs` (ms since 1970). */
  lag: Record<string, number>
  lagAtMs: number
  /** The reason for each unavailable dependency. */
  away: Record<string, string>
  taken: Partial<ArrivalCounts>
  effects: number
  faults: Record<string, number>
}

/** Creates the function `open` of a consumer whose state and offsets commit together. */
export function createStatefulOpener(
  name: string,
  runtime: ConsumerProcess,
  state: Pick<ConsumerStateAccess, 'claim'>,
  createHandling: (state: PartitionState) => Promise<Handling>,
  { hasEffects = true, commitEveryMs = 0 } = {},
): Consumer['open'] {
  const { decodeRecords, deadLetterTopic, retryWhileUnavailable, metrics, onUnusable } = runtime
  const effects = hasEffects ? runtime.createEffectRelay() : null
  return (partition, signal) =>
    retryWhileUnavailable(
      () =>
        openStatefulWork({
          ...{ name, state, partition, decodeRecords, deadLetterTopic, retryWhileUnavailable },
          ...{ createHandling, commitEveryMs, onUnusable },
          onCommitted(counts, committed, missing) {
            metrics.countRecords(counts)
            metrics.setMissing(partition, missing)
            effects?.wake(committed)
          },
          onEnded: committed => effects?.forget(committed),
        }),
      signal,
    )
}
