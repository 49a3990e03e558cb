import type { RequestListener } from 'node:http'
import type { Config } from '../../config/config.ts'
import { serveHttp } from '../../config/process/http-server.ts'
import type { createLog } from '../../config/process/log.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { createEventReader } from '../registry/event-reader.ts'
import { createRegistryClient } from '../registry/registry.ts'
import { type Lag, startLagWatch } from './lag.ts'
import { createConsumerMetrics } from './metrics.ts'
import { createDeadLetterProducer } from './runtime/dead-letter-producer.ts'
import { createDependencyWait } from './runtime/dependency-wait.ts'
import { createEffectRelay } from './runtime/effect-relay.ts'
import type { ArrivalCounts, Handling } from './runtime/handler.ts'
import { runMember } from './runtime/member.ts'
import type { Consumer, PartitionWork } from './runtime/partition-work.ts'
import { createRecordDecoder } from './runtime/record-decoder.ts'
import { openStatefulWork } from './runtime/stateful-work.ts'
import type { ConsumerStateAccess, PartitionState } from './state/state.ts'

export type ConsumerProcessOptions = {
  name: string
  config: Config
  kafka: KafkaClient
  log: ReturnType<typeof createLog>
  signal: AbortSignal
}

const MEMBERSHIP = 'its membership'

export type ConsumerProcess = ReturnType<typeof createConsumerProcess>

/** What every consumer process has: how it reads, sends, waits for what is away, and counts. */
export function createConsumerProcess(options: ConsumerProcessOptions) {
  const { name, config, kafka, log, signal } = options
  const { readings, backfill, deadletters } = config.kafka.topics
  const topics = [readings, backfill]
  const works = new Map<number, PartitionWork>()
  let lag: Lag = { records: new Map(), atMs: 0 }
  const metrics = createConsumerMetrics(name, { lag: () => lag.records })
  const { url, ...registry } = config.registry
  const reader = createEventReader(
    url === null ? null : createRegistryClient({ ...registry, url, signal }),
  )
  const { away, onAway } = startAways(log, () => metrics.fault('away'))
  const onRefused = ({ id, topic }: { id: string; topic: string }, reason: string) => {
    metrics.fault('refused')
    log.error({ id, topic, reason }, 'Kafka will never take it')
  }
  const sending = () => ({
    ...{ sink: kafka.openSink(), partitionsOf: kafka.topics.partitionsOf, signal, onRefused },
    onAway: onAway('what it sends'),
  })

  const nextOf = (topic: string, partition: number) =>
    works.has(partition) ? (works.get(partition)!.nextOffsets.get(topic) ?? 0) : null

  return {
    ...{ metrics, onAway, deadletters, topics },
    patience: createDependencyWait(onAway('its work')),
    read: createRecordDecoder(reader, topics),
    /** Sends what the works of the process want sent. */
    createEffectRelay: () => createEffectRelay({ ...sending(), onSent: metrics.sent }),
    createDeadLetterProducer: () => createDeadLetterProducer(sending()),
    /** Where a partition goes on, or null when it is not this member's now. */
    nextOf,
    /** Reads as a member of the group, until a signal. Rejects with what does not pass. */
    async run(
      open: Consumer['open'],
      { groupId = `sluice-${name}`, until = signal } = {},
    ): Promise<void> {
      const opened: Consumer['open'] = async (partition, ending) => {
        const work = await open(partition, ending)
        works.set(partition, work)
        return work
      }
      lag = startLagWatch(kafka.stream, topics, nextOf, {
        signal: until,
        onLooked: () => away.has(MEMBERSHIP) && onAway(MEMBERSHIP)(null),
      })
      await runMember({
        ...{ consumer: { name, open: opened }, group: kafka.group, groupId, topics },
        signal: until,
        sessionMs: config.consumers.sessionTimeoutMs,
        onAway: onAway(MEMBERSHIP),
        onDeleted(gap) {
          metrics.fault('deleted', gap.to - gap.from)
          log.error(gap, 'Kafka deleted these records before they were read (retention)')
        },
        onPartitions(partitions) {
          for (const one of works.keys()) if (!partitions.includes(one)) works.delete(one)
          log.info({ partitions }, 'partitions')
        },
        onFault(reason) {
          metrics.fault('joined anew')
          log.warn({ reason }, 'the membership begins anew')
        },
      })
    },
    /** The pages of the process; `others` answers what is none of them. */
    serve: (http: { host: string; port: number }, key: string, others?: RequestListener) =>
      serveHttp({
        ...http,
        key,
        notReadyReasons: () => [...away].map(([what, reason]) => `${what}: ${reason}`),
        metrics: metrics.text,
        state: (): ConsumerProcessState => ({
          ...{ part: 'consumer', name, pid: process.pid, partitions: [...works.keys()] },
          ...{
            lag: Object.fromEntries(lag.records),
            lagAtMs: lag.atMs,
            away: Object.fromEntries(away),
          },
          ...metrics.totals,
        }),
        ...(others && { fallback: others }),
      }),
  }
}

/** What keeps a process from going on, by what it is; its beginning and end are logged. */
function startAways(log: ConsumerProcessOptions['log'], onFault: () => void) {
  const away = new Map<string, string>()
  const onAway = (what: string) => (reason: string | null) => {
    if (reason === null) {
      away.delete(what)
      log.info(`${what}: it goes on`)
      return
    }
    onFault()
    if (!away.has(what)) log.warn({ reason }, `${what}: it waits`)
    away.set(what, reason)
  }
  return { away, onAway }
}

/** What a consumer process tells of itself on its page /state. */
export type ConsumerProcessState = {
  part: 'consumer'
  name: string
  pid: number
  partitions: number[]
  /** Records yet to be taken of those partitions, by topic, as they were at `lagAtMs`. */
  lag: Record<string, number>
  lagAtMs: number
  /** What keeps it from going on, by what it is. */
  away: Record<string, string>
  taken: Partial<ArrivalCounts>
  effects: number
  faults: Record<string, number>
}

/** How a consumer whose state and offsets are committed together takes a partition. */
export function createStatefulOpener(
  name: string,
  runtime: ConsumerProcess,
  state: Pick<ConsumerStateAccess, 'claim'>,
  start: (state: PartitionState) => Promise<Handling>,
  { hasEffects = true, commitEveryMs = 0 } = {},
): Consumer['open'] {
  const { read, deadletters, patience, metrics } = runtime
  const effects = hasEffects ? runtime.createEffectRelay() : null
  return (partition, signal) =>
    patience(
      () =>
        openStatefulWork({
          ...{
            name,
            state,
            partition,
            read,
            deadletters,
            waitForDependencies: patience,
            createHandling: start,
            commitEveryMs,
          },
          onCommitted(counts, committed, missing) {
            metrics.taken(counts)
            metrics.missing(partition, missing)
            effects?.wake(committed)
          },
          onEnded: committed => effects?.forget(committed),
        }),
      signal,
    )
}
