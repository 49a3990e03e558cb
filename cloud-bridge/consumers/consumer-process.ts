import type { Config } from '../../config/config.ts'
import { serveHttp } from '../../config/telemetry/http.ts'
import type { openLog } from '../../config/telemetry/log.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { startEventReader } from '../registry/event-reader.ts'
import { openRegistry } from '../registry/registry.ts'
import { type Lag, watchLag } from './lag.ts'
import { startConsumerMetrics } from './metrics.ts'
import { type Effects, startEffects } from './runtime/effects.ts'
import { runMember } from './runtime/member.ts'
import { type Patience, startPatience } from './runtime/patience.ts'
import { startReading } from './runtime/reading.ts'
import { type Handling, openStatefulWork } from './runtime/stateful.ts'
import type { Consumer, Work } from './runtime/work.ts'
import type { ConsumerState, PartitionState } from './state/state.ts'

export type Parts = {
  name: string
  config: Config
  kafka: KafkaClient
  log: ReturnType<typeof openLog>
  signal: AbortSignal
}

export type ConsumerProcess = ReturnType<typeof startConsumerProcess>

/** What every consumer process has: how it reads, sends, waits for what is away, and counts. */
export function startConsumerProcess({ name, config, kafka, log, signal }: Parts) {
  const { readings, backfill, deadletters } = config.kafka.topics
  const topics = [readings, backfill]
  const works = new Map<number, Work>()
  let lag: Lag = { behind: new Map() }
  let away: string | null = null
  const metrics = startConsumerMetrics(name, { lag: () => lag.behind })
  const { url, ...registry } = config.registry
  const reader = startEventReader(url === null ? null : openRegistry({ ...registry, url, signal }))
  const onAway = (what: string) => (reason: string | null) => {
    if (reason !== null) metrics.fault('away')
    if (reason !== null && away === null) log.warn({ reason }, `${what} is away: it waits`)
    else if (reason === null) log.info(`${what} is there again`)
    away = reason
  }
  const patience: Patience = startPatience(onAway('what the consumer needs'))
  const read = startReading(reader, topics)

  return {
    topics,
    metrics,
    patience,
    read,
    deadletters,
    lag: () => lag.behind,
    away: () => away,
    partitions: () => [...works.keys()],
    effects: (): Effects =>
      startEffects({
        sink: kafka.openSink(),
        partitionsOf: kafka.topics.partitionsOf,
        signal,
        onSent: metrics.sent,
        onRefused: ({ id, topic }, reason) => {
          metrics.fault('refused')
          log.error({ id, topic, reason }, 'Kafka will never take an effect')
        },
        onAway: onAway('Kafka, for effects,'),
      }),
    /**
     * Reads as a member of the consumer's group, until the signal. Rejects with what does not pass.
     */
    async run(open: (partition: number) => Promise<Work>, groupId = `sluice-${name}`) {
      const consumer: Consumer = {
        name,
        async open(partition) {
          const work = await patience(() => open(partition), signal)
          works.set(partition, work)
          return work
        },
      }
      const nextOf = (topic: string, partition: number) =>
        works.has(partition) ? (works.get(partition)!.next.get(topic) ?? 0) : null
      lag = watchLag(kafka.stream, topics, nextOf, signal)
      await runMember({
        ...{ consumer, group: kafka.group, groupId, topics, signal },
        sessionMs: config.consumers.sessionTimeoutMs,
        onPartitions(partitions) {
          for (const one of works.keys()) if (!partitions.includes(one)) works.delete(one)
          log.info({ partitions }, 'partitions')
        },
        onFault(reason) {
          metrics.fault('fenced')
          log.warn({ reason }, 'the membership begins anew')
        },
      })
    },
    /** The pages of the process. */
    serve: (http: { host: string; port: number }, key: string, more: () => object = () => ({})) =>
      serveHttp({
        ...http,
        key,
        reasons: () => (away === null ? [] : [away]),
        metrics: metrics.text,
        state: () => ({
          ...{ part: 'consumer', name, pid: process.pid, partitions: [...works.keys()] },
          ...{ lag: Object.fromEntries(lag.behind), away, ...metrics.totals, ...more() },
        }),
      }),
  }
}

/** How a consumer whose state and offsets are committed together takes a partition. */
export function statefulOpener(
  name: string,
  process: ConsumerProcess,
  state: ConsumerState,
  effects: Effects | null,
  start: (state: PartitionState) => Promise<Handling>,
): (partition: number) => Promise<Work> {
  const { read, deadletters, patience, metrics } = process
  return partition =>
    openStatefulWork({
      ...{ name, state, partition, read, deadletters, patience, start },
      onCommitted(counts, committed) {
        metrics.taken(counts)
        effects?.wake(committed)
      },
    })
}
