import { join } from 'node:path'
import { runBridge } from '../../../cloud-bridge/forward/bridge.ts'
import { createBridgeMetrics } from '../../../cloud-bridge/forward/metrics.ts'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import { createBatchBoundary } from '../../../cloud-bridge/partitions/batch-boundary.ts'
import {
  type EventSink,
  type Sender,
  SinkUnavailable,
} from '../../../cloud-bridge/ports/event-sink.ts'
import { createFlows } from '../../../cloud-bridge/retry/flow-status.ts'
import { createKafkaWatch } from '../../../cloud-bridge/watch/kafka-watch.ts'
import { createRejections } from '../../../cloud-bridge/watch/rejections.ts'
import { createHotZones } from '../../../cloud-bridge/zones/hot-zones.ts'
import { type Config, defaults } from '../../../config/config.ts'
import { type Inbox, openInbox } from '../../../gateway/store/inbox.ts'
import { openEventSource } from '../../../gateway/store/source/event-source.ts'

/** The topics of a bridge in memory: readings, backfill, dead letters, ledger. */
export const topics = { readings: 'r', backfill: 'b', deadletters: 'd', ledger: 'l' }
type Send = Sender['send']
export const accept: Send = async ({ records }) => records.map(() => null)
export const failUnavailable: Send = async () => {
  throw new SinkUnavailable('unavailable')
}

/** A complete bridge on the stores in `dir`; `send` decides the fate of each batch. */
export function startMemoryBridge(options: {
  dir: string
  send: Send
  /** Wraps the inbox, so that a test can replace its methods. */
  wrap?: (inbox: Inbox) => Inbox
  limits?: Partial<Config['bridge']>
}) {
  const opened = openInbox({ file: join(options.dir, 'inbox.db'), settleMs: 60_000 })
  const inbox = options.wrap?.(opened) ?? opened
  const source = openEventSource({ outboxFile: join(options.dir, 'outbox.db'), inbox })
  const flows = createFlows({ firstMs: 20, maxMs: 50, stableMs: 30_000 })
  const ending = new AbortController()
  const sink: EventSink & AsyncDisposable = {
    send: options.send,
    isolate: () => {
      throw new Error('the memory sink knows every fate, so there is nothing to isolate')
    },
    [Symbol.asyncDispose]: async () => {},
  }
  const warnings: string[] = []
  const rejections = createRejections({ onWarning: text => warnings.push(text) })
  const running = runBridge({
    rejections,
    ...{ source, inbox, flows, signal: ending.signal, framing: singleObjectFraming },
    config: {
      bridge: { ...defaults.bridge, pollMs: 100, ...options.limits },
      kafka: { ...defaults.kafka, topics, partitions: null },
    },
    metrics: createBridgeMetrics({
      backlog: () => source.backlog() ?? { events: 0, bytes: 0, oldestAgeMs: 0 },
      hotZones: () => [],
      flows: () => flows.states,
    }),
    hotZones: createHotZones({ cureOf: () => '', onHot() {}, onCool() {} }),
    batchBoundary: createBatchBoundary(source.wake),
    onPartitionMismatch() {},
    partitionsOf: async () => 3,
    openSink: () => sink,
    kafkaWatch: createKafkaWatch({
      config: { kafka: { topics, brokers: [] }, outbox: defaults.outbox },
      ...{ topicOffsets: async () => new Map(), onChange() {} },
    }),
    settingsOf: async () => ({ partitions: 3, replicas: 1, config: 'not allowed' }),
    onCheckNotAllowed() {},
  })
  return {
    ...{ source, inbox, flows, running, rejections, warnings },
    async stop(): Promise<void> {
      ending.abort()
      source.wake()
      await running.catch(() => {})
      source.close()
      inbox.close()
    },
  }
}
