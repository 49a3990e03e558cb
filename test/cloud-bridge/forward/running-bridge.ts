import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { runBridge } from '../../../cloud-bridge/forward/bridge.ts'
import { createBridgeMetrics } from '../../../cloud-bridge/forward/metrics.ts'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { createBatchBoundary } from '../../../cloud-bridge/partitions/between-batches.ts'
import { createMovePartitionsCommand } from '../../../cloud-bridge/partitions/command.ts'
import type { Framing } from '../../../cloud-bridge/ports/event-sink.ts'
import { createReplayCommand } from '../../../cloud-bridge/replay/command.ts'
import { createFlows } from '../../../cloud-bridge/retry/flow-status.ts'
import { createHotZones, type HotZonesOptions } from '../../../cloud-bridge/zones/hot-zones.ts'
import { type Config, defaults } from '../../../config/config.ts'
import { type Inbox, openInbox } from '../../../gateway/store/inbox.ts'
import { openEventSource } from '../../../gateway/store/source/event-source.ts'

export type Topics = Config['kafka']['topics']

/** Names of topics that no other test has. */
export function freshTopics(): Topics {
  const id = randomUUID()
  return {
    ...{ readings: `readings-${id}`, backfill: `backfill-${id}` },
    ...{ deadletters: `dead-${id}`, ledger: `ledger-${id}` },
  }
}

/** The whole bridge in this process, on the outbox and inbox in `dir`; `stop` ends it in order. */
export async function startBridge({
  dir,
  kafka,
  topics,
  limits,
  heat,
  framing,
  partitions = null,
}: BridgeRig) {
  const inbox = openInbox({ file: join(dir, 'inbox.db'), settleMs: 60_000 })
  const source = openEventSource({ outboxFile: join(dir, 'outbox.db'), inbox })
  const hotZones = createHotZones({ cureOf: () => '', onHot() {}, onCool() {}, ...heat })
  const flows = createFlows({ firstMs: 50, maxMs: 500, stableMs: 30_000 })
  const metrics = createBridgeMetrics({
    waiting: () => source.backlog() ?? { events: 0, bytes: 0, oldestAgeMs: 0 },
    hotZones: hotZones.list,
    circuits: () => flows.states.circuits,
  })
  const client = await createKafkaClient(kafka)
  const ending = new AbortController()
  const blind: string[] = []
  const batchBoundary = createBatchBoundary(source.wake)
  const disagreements: string[] = []
  const bridge = {
    ...defaults.bridge,
    pollMs: 100,
    ...limits,
  }
  const running = runBridge({
    config: { bridge, kafka: { ...defaults.kafka, ...kafka, topics, partitions } },
    source,
    ...{ inbox, metrics, hotZones, flows, signal: ending.signal },
    framing: framing?.(inbox, ending.signal) ?? singleObjectFraming,
    ...{ batchBoundary, onPartitionMismatch: reason => void disagreements.push(reason) },
    partitionsOf: client.topics.partitionsOf,
    openSink: client.openSink,
    settingsOf: client.topics.settingsOf,
    onCheckNotAllowed: topic => blind.push(topic),
  })
  return {
    source,
    inbox,
    /** What an operator asks of it. */
    replay: createReplayCommand({
      outboxFile: join(dir, 'outbox.db'),
      source,
      topic: topics.backfill,
      partitionsOf: client.topics.partitionsOf,
    }),
    move: createMovePartitionsCommand({
      kafka: { brokers: kafka.brokers, topics },
      ...{ source, batchBoundary, partitionsOf: client.topics.partitionsOf },
      waitReason: () => flows.states.waitReasons.events ?? null,
      decideWithinMs: 2000,
    }),
    disagreements,
    totals: metrics.totals,
    /** Of which it told that it may not look at them. */
    blind,
    hotZones,
    metricsText: metrics.text,
    /** What keeps each flow from going, as it was last told. */
    away: {
      get events() {
        return flows.states.waitReasons.events
      },
      get behind() {
        return flows.states.waitReasons.behind
      },
      get notes() {
        return flows.states.waitReasons.notes
      },
    },
    async stop(): Promise<void> {
      ending.abort()
      source.wake()
      await running
      source.close()
      inbox.close()
    },
  }
}

type BridgeRig = {
  dir: string
  kafka: KafkaOptions
  topics: Topics
  limits?: Partial<Config['bridge']>
  partitions?: number | null
  heat?: Partial<HotZonesOptions>
  /** How events go out; in single-object encoding when not given. */
  framing?: (inbox: Inbox, signal: AbortSignal) => Framing
}
