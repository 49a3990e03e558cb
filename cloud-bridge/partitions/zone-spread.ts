import { rangeKind } from '../../gateway/store/delivery/range-kind.ts'
import { includedPartitions } from '../../gateway/store/delivery/zone-filter.ts'
import type { Range } from '../../gateway/store/inbox.ts'

export type ZoneSpread = {
  /** Over how many partitions zones are spread that are stored from now on. */
  partitions: number
  /** What is still delivered to another number of them first: sequences, both included. */
  before: { partitions: number; from: number; to: number } | null
}

/** How zones are spread; null before the first contact. */
export function zoneSpreadOf(ranges: readonly Range[]): ZoneSpread | null {
  const live = ranges.filter(range => rangeKind(range) === 'live')
  const open = live.find(({ end }) => end === null)
  if (!open) return null
  const old = live.find(({ end }) => end !== null)
  const before = old && { partitions: old.partitions, from: old.next, to: old.end! }
  return { partitions: open.partitions, before: before ?? null }
}

/** Why zones cannot be spread over `to` partitions now, and what to do; null when they can. */
export function moveObstacle(to: number, ranges: readonly Range[]): string | null {
  const spread = zoneSpreadOf(ranges)
  if (!spread) {
    return 'zones are not spread yet: the first contact does it, over kafka.partitions of them'
  }
  const { partitions, before } = spread
  if (before) {
    const still = `#${before.from} to #${before.to} still go to ${before.partitions} partitions`
    return `${still} since the last move to ${partitions}: ${untilDelivered}`
  }
  if (partitions === to) return `zones are spread over ${to} partitions already`
  const [backlog] = ranges.filter(range => rangeKind(range) === 'backlog')
  if (backlog) {
    const { next, end, topic } = backlog
    return `the backlog #${next} to #${end} still goes to ${topic}: ${untilDelivered}`
  }
  const [apart] = ranges.filter(range => rangeKind(range) === 'apart')
  if (!apart) return null
  const isolated = includedPartitions(apart).join(', ')
  return `partition ${isolated} is carried apart: wait until it has come as far`
}

const untilDelivered = 'wait until that is delivered (./sluice status shows it)'

/** What to say when the configured number is another one than in force; otherwise nothing. */
export function partitionMismatch(configured: number | null, ranges: readonly Range[]): string[] {
  const partitions = zoneSpreadOf(ranges)?.partitions ?? null
  if (configured === null || partitions === null || configured === partitions) return []
  const is = `kafka.partitions is ${configured}, and zones are spread over ${partitions} partitions`
  const cure = `./sluice partitions move --to ${configured}`
  return [`${is}; it counts at first contact alone: ${cure}, or set it to ${partitions}`]
}
