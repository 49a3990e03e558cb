import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { runBridge } from '../../../cloud-bridge/forward/bridge.ts'
import { createBridgeMetrics } from '../../../cloud-bridge/forward/metrics.ts'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { createBatchBoundary } from '../../../cloud-bridge/partitions/batch-boundary.ts'
import { createMovePartitionsCommand } from '../../../cloud-bridge/partitions/partitions-command.ts'
import type { Framing } from '../../../cloud-bridge/ports/event-sink.ts'
import { createReplayCommand } from '../../../cloud-bridge/replay/replay-command.ts'
import { createFlows, waitReason } from '../../../cloud-bridge/retry/flow-status.ts'
import { createKafkaWatch } from '../../../cloud-bridge/watch/kafka-watch.ts'
import { createRejections } from '../../../cloud-bridge/watch/rejections.ts'
import { createHotZones, type HotZonesOptions } from '../../../cloud-bridge/zones/hot-zones.ts'
import { type Config, defaults } from '../../../config/config.ts'
import { type Inbox, openInbox } from '../../../gateway/store/inbox.ts'
import { openEventSource } from '../../../gateway/store/source/event-source.ts'

export type Topics = Config['kafka']['topics']

/** Topic names that no other test uses. */
export function freshTopics(): Topics {
  const id = randomUUID()
  return {
    ...{ readings: `readings-${id}`, backfill: `backfill-${id}` },
    ...{ deadletters: `dead-${id}`, ledger: `ledger-${id}` },
  }
}

/** A complete bridge in this process, on the outbox and inbox in `dir`. */
export async function startBridge({
  dir,
  kafka,
  topics,
  limits,
  hotZoneOptions,
  framing,
  partitions = null,
  checkEveryMs = 30_000,
}: BridgeOptions) {
  const inbox = openInbox({ file: join(dir, 'inbox.db'), settleMs: 60_000 })
  const source = openEventSource({ outboxFile: join(dir, 'outbox.db'), inbox })
  const hotZones = createHotZones({ cureOf: () => '', onHot() {}, onCool() {}, ...hotZoneOptions })
  const flows = createFlows({ firstMs: 50, maxMs: 500, stableMs: 30_000 })
  const metrics = createBridgeMetrics({
    backlog: () => source.backlog() ?? { events: 0, bytes: 0, oldestAgeMs: 0 },
    hotZones: hotZones.list,
    flows: () => flows.states,
  })
  const client = await createKafkaClient(kafka)
  const ending = new AbortController()
  const kafkaWatch = createKafkaWatch({
    config: { kafka: { ...kafka, topics }, outbox: defaults.outbox },
    ...{ topicOffsets: client.stream.topicOffsets, onChange() {}, checkEveryMs },
  })
  const uncheckedTopics: string[] = []
  const batchBoundary = createBatchBoundary(source.wake)
  const mismatches: string[] = []
  const bridge = {
    ...defaults.bridge,
    pollMs: 100,
    ...limits,
  }
  const rejections = createRejections({ onWarning() {} })
  const running = runBridge({
    rejections,
    config: { bridge, kafka: { ...defaults.kafka, ...kafka, topics, partitions } },
    source,
    ...{ inbox, metrics, hotZones, flows, signal: ending.signal },
    framing: framing?.(inbox, ending.signal) ?? singleObjectFraming,
    ...{ batchBoundary, onPartitionMismatch: reason => void mismatches.push(reason) },
    partitionsOf: client.topics.partitionsOf,
    ...{ openSink: client.openSink, kafkaWatch },
    settingsOf: client.topics.settingsOf,
    onCheckNotAllowed: topic => uncheckedTopics.push(topic),
  })
  return {
    source,
    inbox,
    /** The commands of an operator. */
    replay: createReplayCommand({
      outboxFile: join(dir, 'outbox.db'),
      source,
      topic: topics.backfill,
      partitionsOf: client.topics.partitionsOf,
    }),
    move: createMovePartitionsCommand({
      kafka: { brokers: kafka.brokers, topics },
      ...{ source, batchBoundary, partitionsOf: client.topics.partitionsOf },
      waitReason: () => waitReason(flows.states.events),
      changeWithinMs: 2000,
    }),
    mismatches,
    ...{ kafkaWatch, rejections },
    totals: metrics.totals,
    /** Topics whose settings the bridge may not read. */
    uncheckedTopics,
    hotZones,
    metricsText: metrics.text,
    /** Why each flow waits; null for a flow that runs. */
    waitReasons: {
      get events() {
        return waitReason(flows.states.events)
      },
      get backfill() {
        return waitReason(flows.states.behind)
      },
      get notes() {
        return waitReason(flows.states.notes)
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

type BridgeOptions = {
  dir: string
  kafka: KafkaOptions
  topics: Topics
  limits?: Partial<Config['bridge']>
  partitions?: number | null
  /** How long nothing may be acknowledged before the bridge checks Kafka. */
  checkEveryMs?: number
  hotZoneOptions?: Partial<HotZonesOptions>
  /** The framing of the bridge; single-object encoding by default. */
  framing?: (inbox: Inbox, signal: AbortSignal) => Framing
}
