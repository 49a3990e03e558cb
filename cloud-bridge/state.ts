import type { EventSource } from '../gateway/store/event-source.ts'
import type { HotZones } from './hot-zones.ts'
import type { startMetrics } from './metrics.ts'

/** What keeps events, replays and notes from going to Kafka; null while nothing does. */
export type KafkaState = { events: string | null; replays: string | null; notes: string | null }

type Parts = {
  source: EventSource
  metrics: ReturnType<typeof startMetrics>
  hotZones: HotZones
  kafka: KafkaState
}

/** Why nothing is being delivered now; empty when nothing stands in the way. */
export function reasonsOf({ source, kafka }: Pick<Parts, 'source' | 'kafka'>): string[] {
  const reasons: string[] = []
  if (kafka.events) reasons.push(`events wait: ${kafka.events}`)
  if (kafka.notes) reasons.push(`notes wait: ${kafka.notes}`)
  const isReadable = source.backlog() !== null
  if (source.damaged) {
    reasons.push(`the outbox is damaged and waits for the gateway to salvage it: ${source.damaged}`)
  } else if (!isReadable) reasons.push('there is no outbox yet')
  return reasons
}

/** What `sluice status` and the live screen show of a bridge. */
export function stateOf({ source, metrics, hotZones, kafka }: Parts) {
  const backlog = source.backlog()
  return {
    part: 'bridge',
    pid: process.pid,
    kafka,
    backlog,
    /** Everything received before this moment is in Kafka; ms since 1970, null when unknown. */
    completeUpTo: backlog && Date.now() - backlog.oldestAgeMs,
    perPartition: metrics.perPartition,
    hotZones: hotZones.list(),
    ranges: source.ranges.map(({ store, ...range }) => ({
      ...range,
      store: store.toString('hex'),
    })),
    ...metrics.totals,
  }
}

export type BridgeState = ReturnType<typeof stateOf>
