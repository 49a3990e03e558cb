import { partitionOf } from '../../config/event/partitioner.ts'
import { backlogAppendTimeMs } from './deferred.ts'
import type { EpochStart, EventPosition } from './epoch.ts'
import type { GatewayLedger, LogStarts } from './ledger.ts'
import { partitionCountsBetween } from './partition-moves.ts'

/** What stands beside numbers that were not seen, as far as it is known. */
type Beside = { before?: EventPosition | undefined; after?: EventPosition | undefined }
/** The epoch in which they were given out: its outbox, its beginning, how far it is claimed. */
type Run = { begun: EpochStart | null; end: number | null; store: string | null }
type Moment = { at: number; heardAt: number }

/** The clocks of Kafka's brokers, and notes and events on their way, may differ by so much. */
const HEARD_ABOUT_MS = 60_000

const NOTHING: Moment = { at: Number.NEGATIVE_INFINITY, heardAt: Number.NEGATIVE_INFINITY }
const later = (a: Moment, b: Moment): Moment => ({
  at: Math.max(a.at, b.at),
  heardAt: Math.max(a.heardAt, b.heardAt),
})
const earlier = (a: Moment, b: Moment): Moment => ({
  at: Math.min(a.at, b.at),
  heardAt: Math.min(a.heardAt, b.heardAt),
})

type Known = Pick<GatewayLedger, 'oldestIn' | 'partitions' | 'spreads' | 'behind'>

export type ExpiryCheck = ReturnType<typeof createExpiryCheck>

/**
 * Judges whether Kafka may have deleted events of a gateway. In each partition it keeps the order
 * in which the gateway accepted them, so only those can be gone that were accepted before the
 * gateway's oldest one there, and before Kafka got the oldest record of all: a gateway's clock that
 * is ahead excuses nothing.
 */
export function createExpiryCheck(
  { oldestIn, partitions, spreads, behind }: Known,
  cuts: LogStarts,
  backlogCuts: LogStarts = new Map(),
) {
  const byPartition = new Map(
    [...cuts].map(([partition, heardAt]) => {
      const at = Math.min(heardAt, oldestIn.get(partition) ?? Number.POSITIVE_INFINITY)
      return [partition, { at, heardAt }]
    }),
  )
  /** Where the partition is not known, every one of so many must have lost what was so old. */
  const leastOf = (count: number) =>
    [...byPartition]
      .flatMap(([partition, deleted]) => (partition < count ? [deleted] : []))
      .reduce<Moment | null>((a, b) => (a ? earlier(a, b) : b), null) ?? NOTHING

  /** A zone that was moved has lost what one of its partitions may have lost. */
  const deletedOf = (zone: string | null, counts: number[]): Moment => {
    const most = counts.length > 0 ? Math.max(...counts) : Number.POSITIVE_INFINITY
    if (zone === null) return leastOf(most)
    if (counts.length > 0) {
      const key = Buffer.from(zone)
      const of = (count: number) => byPartition.get(partitionOf(key, count)) ?? leastOf(count)
      return counts.map(of).reduce(later)
    }
    const partition = partitions.get(zone) ?? null
    return partition === null ? leastOf(most) : (byPartition.get(partition) ?? NOTHING)
  }

  /** What a backlog brought is gone when its topic begins with what came after it. */
  const isBacklogDeleted = (heardAt: number, zone: string | null): boolean => {
    const partition = zone === null ? null : (partitions.get(zone) ?? null)
    const all = [...backlogCuts.values()]
    const cut = partition === null ? Math.min(...all) : backlogCuts.get(partition)
    return all.length > 0 && (cut ?? Number.NEGATIVE_INFINITY) > heardAt
  }

  /**
   * Whether numbers of an epoch may be deleted. They were accepted between what stands beside them,
   * so all of that must be old, too; `zone` is null where it is not known.
   */
  return ({ before, after }: Beside, { begun, end, store }: Run, zone: string | null): boolean => {
    const above = before?.sequence ?? (begun ? begun.first - 1 : Number.NEGATIVE_INFINITY)
    const below = after?.sequence ?? Number.POSITIVE_INFINITY
    const backlog = backlogAppendTimeMs(behind.get(store ?? ''), above, below)
    if (backlog !== null && isBacklogDeleted(backlog, zone)) return true
    const counts = partitionCountsBetween(spreads.get(store ?? '') ?? [], above, below)
    const deleted = deletedOf(zone, counts)
    const start = before ?? begun
    if ((after?.at ?? end ?? Number.POSITIVE_INFINITY) > deleted.at) return false
    if (!start) return true
    return start.at <= deleted.at && start.heardAt <= deleted.heardAt + HEARD_ABOUT_MS
  }
}
