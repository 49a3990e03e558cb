import { rangeKind } from '../../gateway/store/delivery/range-kind.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { type FlowStates, waitingText } from '../retry/flow-status.ts'
import type { HotZones } from '../zones/hot-zones.ts'
import type { createBridgeMetrics } from './metrics.ts'

type Parts = {
  source: EventSource
  metrics: ReturnType<typeof createBridgeMetrics>
  kafka: FlowStates
  hotZones: HotZones
}

/** Why nothing is being delivered now; empty when nothing stands in the way. */
export function notReadyReasons({ source, kafka }: Pick<Parts, 'source' | 'kafka'>): string[] {
  const reasons: string[] = []
  for (const [flow, away] of Object.entries(kafka.waitReasons)) {
    // Nothing is late because of what was delivered before.
    const isLate = flow !== 'behind' || source.ranges.some(range => rangeKind(range) === 'backlog')
    if (away && isLate) reasons.push(`${waitingText(flow)}: ${away}`)
  }
  const isReadable = source.backlog() !== null
  if (source.damaged) {
    reasons.push(`the outbox is damaged and waits for the gateway to salvage it: ${source.damaged}`)
  } else if (!isReadable) reasons.push('there is no outbox yet')
  return reasons
}

/** What `sluice status` and the live screen show of a bridge. */
export function bridgeState({ source, metrics, hotZones, kafka }: Parts) {
  const backlog = source.backlog()
  return {
    part: 'bridge',
    pid: process.pid,
    /** By flow: what keeps it from going now, null for nothing. */
    kafka: kafka.waitReasons,
    circuits: kafka.circuits,
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

export type BridgeState = ReturnType<typeof bridgeState>
