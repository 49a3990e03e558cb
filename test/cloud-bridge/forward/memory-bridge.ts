import { join } from 'node:path'
import { runBridge } from '../../../cloud-bridge/forward/bridge.ts'
import { createBridgeMetrics } from '../../../cloud-bridge/forward/metrics.ts'
import { singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import { createBatchBoundary } from '../../../cloud-bridge/partitions/between-batches.ts'
import {
  type EventSink,
  type Sender,
  SinkUnavailable,
} from '../../../cloud-bridge/ports/event-sink.ts'
import { createFlows } from '../../../cloud-bridge/retry/flow-status.ts'
import { createHotZones } from '../../../cloud-bridge/zones/hot-zones.ts'
import { type Config, defaults } from '../../../config/config.ts'
import { type Inbox, openInbox } from '../../../gateway/store/inbox.ts'
import { openEventSource } from '../../../gateway/store/source/event-source.ts'

/** The topics of a bridge in memory: readings, backfill, dead letters, ledger. */
export const topics = { readings: 'r', backfill: 'b', deadletters: 'd', ledger: 'l' }
type Send = Sender['send']
export const taking: Send = async ({ records }) => records.map(() => null)
export const away: Send = async () => {
  throw new SinkUnavailable('away')
}

/** The whole bridge on the stores in `dir`, and on what `send` makes of each batch. */
export function startMemoryBridge(asked: {
  dir: string
  send: Send
  /** The inbox as the bridge gets it. */
  wrap?: (inbox: Inbox) => Inbox
  limits?: Partial<Config['bridge']>
}) {
  const real = openInbox({ file: join(asked.dir, 'inbox.db'), settleMs: 60_000 })
  const inbox = asked.wrap?.(real) ?? real
  const source = openEventSource({ outboxFile: join(asked.dir, 'outbox.db'), inbox })
  const flows = createFlows({ firstMs: 20, maxMs: 50, stableMs: 30_000 })
  const ending = new AbortController()
  const sink: EventSink & AsyncDisposable = {
    send: asked.send,
    isolate: () => {
      throw new Error('nothing is undecided here')
    },
    [Symbol.asyncDispose]: async () => {},
  }
  const running = runBridge({
    ...{ source, inbox, flows, signal: ending.signal, framing: singleObjectFraming },
    config: {
      bridge: { ...defaults.bridge, pollMs: 100, ...asked.limits },
      kafka: { ...defaults.kafka, topics, partitions: null },
    },
    metrics: createBridgeMetrics({
      waiting: () => source.backlog() ?? { events: 0, bytes: 0, oldestAgeMs: 0 },
      hotZones: () => [],
      circuits: () => flows.states.circuits,
    }),
    hotZones: createHotZones({ cureOf: () => '', onHot() {}, onCool() {} }),
    batchBoundary: createBatchBoundary(source.wake),
    onPartitionMismatch() {},
    partitionsOf: async () => 3,
    openSink: () => sink,
    settingsOf: async () => ({ partitions: 3, replicas: 1, keeping: 'not allowed' }),
    onCheckNotAllowed() {},
  })
  return {
    ...{ source, inbox, flows, running },
    async stop(): Promise<void> {
      ending.abort()
      source.wake()
      await running.catch(() => {})
      source.close()
      inbox.close()
    },
  }
}
