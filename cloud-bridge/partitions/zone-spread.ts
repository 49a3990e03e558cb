import { includedPartitions } from '../../gateway/store/delivery/zone-filter.ts'
import type { Range } from '../../gateway/store/inbox.ts'

export type ZoneSpread = {
  /** Over how many partitions the zones of newly stored events are spread. */
  partitions: number
  /**
   * Events that are still to be delivered before, over another number of partitions: first and last
   * sequence, both included.
   */
  before: { partitions: number; from: number; to: number } | null
}

/** How zones are spread over partitions; null before the first contact with Kafka. */
export function zoneSpreadOf(ranges: readonly Range[]): ZoneSpread | null {
  const live = ranges.filter(range => range.kind === 'live')
  const open = live.find(({ end }) => end === null)
  if (!open) return null
  const old = live.find(({ end }) => end !== null)
  const before = old && { partitions: old.partitions, from: old.next, to: old.end! }
  return { partitions: open.partitions, before: before ?? null }
}

/** Why zones cannot be spread over `to` partitions now, with the cure; null when they can. */
export function moveObstacle(to: number, ranges: readonly Range[]): string | null {
  const spread = zoneSpreadOf(ranges)
  if (!spread) {
    const cure = 'the first contact with Kafka spreads them over kafka.partitions'
    return `zones are not spread yet: ${cure}`
  }
  const { partitions, before } = spread
  if (before) {
    const waiting = `#${before.from} to #${before.to} still go to ${before.partitions} partitions`
    return `${waiting} since the last move to ${partitions}: ${untilDelivered}`
  }
  if (partitions === to) return `zones are spread over ${to} partitions already`
  const [backlog] = ranges.filter(range => range.kind === 'backlog')
  if (backlog) {
    const { next, end, topic } = backlog
    return `the backlog #${next} to #${end} still goes to ${topic}: ${untilDelivered}`
  }
  const [isolated] = ranges.filter(range => range.kind === 'apart')
  if (!isolated) return null
  const names = includedPartitions(isolated).join(', ')
  return `partition ${names} is isolated: wait until it has caught up`
}

const untilDelivered = 'wait until these events are delivered (./sluice status shows the progress)'

/**
 * One warning when `kafka.partitions` is not the number of partitions over which zones are spread;
 * otherwise none.
 */
export function partitionMismatch(configured: number | null, ranges: readonly Range[]): string[] {
  const partitions = zoneSpreadOf(ranges)?.partitions ?? null
  if (configured === null || partitions === null || configured === partitions) return []
  const inForce = `zones are spread over ${partitions} partitions`
  const rule = 'the setting applies only at the first contact with Kafka'
  const cure = `run ./sluice partitions move --to ${configured}, or set the key to ${partitions}`
  return [`kafka.partitions is ${configured}, but ${inForce}; ${rule}: ${cure}`]
}
