import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { runBridge } from '../../cloud-bridge/bridge.ts'
import type { Frame } from '../../cloud-bridge/forwarder.ts'
import { singleObject } from '../../cloud-bridge/framing.ts'
import type { KafkaOptions } from '../../cloud-bridge/kafka/client.ts'
import { openKafka } from '../../cloud-bridge/kafka/kafka.ts'
import { startMetrics } from '../../cloud-bridge/metrics.ts'
import { replayCommand } from '../../cloud-bridge/replay/command.ts'
import type { KafkaState } from '../../cloud-bridge/state.ts'
import { type Config, defaults } from '../../config/config.ts'
import { openEventSource } from '../../gateway/store/event-source.ts'
import { type Inbox, openInbox } from '../../gateway/store/inbox.ts'

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
export async function startBridge({ dir, kafka, topics, limits, framing }: BridgeRig) {
  const inbox = openInbox({ file: join(dir, 'inbox.db'), settleMs: 60_000 })
  const source = openEventSource({ outboxFile: join(dir, 'outbox.db'), inbox })
  const metrics = startMetrics(() => source.backlog() ?? { events: 0, bytes: 0, oldestAgeMs: 0 })
  const client = await openKafka(kafka)
  const sinks = { events: client.openSink(), replays: client.openSink(), notes: client.openSink() }
  const ending = new AbortController()
  const away: KafkaState = { events: null, replays: null, notes: null }
  const bridge = {
    ...defaults.bridge,
    pollMs: 100,
    backoffFirstMs: 50,
    backoffMaxMs: 500,
    ...limits,
  }
  const running = runBridge({
    config: { bridge, kafka: { ...defaults.kafka, ...kafka, topics } },
    source,
    inbox,
    sinks,
    metrics,
    frame: framing?.(inbox, ending.signal) ?? singleObject,
    partitionsOf: client.topics.partitionsOf,
    signal: ending.signal,
    onState: (what, reason) => {
      away[what] = reason
    },
  })
  return {
    source,
    inbox,
    /** What an operator asks of it. */
    replay: replayCommand({
      outboxFile: join(dir, 'outbox.db'),
      source,
      topic: topics.backfill,
      partitionsOf: client.topics.partitionsOf,
    }),
    totals: metrics.totals,
    /** What keeps events and notes from going, as it was last told. */
    away,
    async stop(): Promise<void> {
      ending.abort()
      source.wake()
      await running
      for (const sink of Object.values(sinks)) await sink[Symbol.asyncDispose]()
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
  /** How events go out; in single-object encoding when not given. */
  framing?: (inbox: Inbox, signal: AbortSignal) => Frame
}
