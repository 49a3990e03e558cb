import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { type FlowStates, waitingText, waitReason } from '../retry/flow-status.ts'
import type { HotZones } from '../zones/hot-zones.ts'
import type { createBridgeMetrics } from './metrics.ts'

type BridgeParts = {
  source: EventSource
  metrics: ReturnType<typeof createBridgeMetrics>
  flows: FlowStates
  hotZones: HotZones
}

/** Why undelivered events wait now; empty when no events wait longer than a send takes. */
export function notReadyReasons({ source, flows }: Pick<BridgeParts, 'source' | 'flows'>) {
  const reasons: string[] = []
  for (const [name, state] of Object.entries(flows)) {
    const reason = waitReason(state)
    // A replay sends delivered events again: a replay that waits makes no event late.
    const isLate = name !== 'behind' || source.ranges.some(range => range.kind === 'backlog')
    if (reason && isLate) reasons.push(`${waitingText(name)}: ${reason}`)
  }
  const isReadable = source.backlog() !== null
  if (source.damaged) {
    reasons.push(`the outbox is damaged and waits for the gateway to salvage it: ${source.damaged}`)
  } else if (!isReadable)
    reasons.push('there is no outbox yet: the gateway creates it at its first start')
  return reasons
}

/** Whose outbox the bridge reads; null while there is no outbox to read. */
export const bridgeIdentity = ({ store }: Pick<EventSource, 'store'>) => ({
  gateway: store?.gateway ?? null,
  store: store?.id.toString('hex') ?? null,
})

/** The bridge's state, as /state reports it to `sluice status` and to the live screen. */
export function bridgeState({ source, metrics, hotZones, flows }: BridgeParts) {
  const backlog = source.backlog()
  const states = Object.entries(flows)
  return {
    part: 'bridge',
    pid: process.pid,
    ...bridgeIdentity(source),
    /** Why each flow waits; null for a flow that runs. */
    kafka: Object.fromEntries(states.map(([name, state]) => [name, waitReason(state)])),
    circuits: Object.fromEntries(states.map(([name, { circuit }]) => [name, circuit])),
    backlog,
    /**
     * Kafka has every event that the gateway received before this moment; ms since 1970, null when
     * unknown.
     */
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
