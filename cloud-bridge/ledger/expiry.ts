import { partitionOf } from '../../config/event/partitioner.ts'
import type { EpochStart } from './epoch.ts'
import type { EventPosition } from './epoch-zones.ts'
import { APPEND_TIME_TOLERANCE_MS, type GatewayLedger, type LogStarts } from './ledger.ts'
import { backlogAppendTimeMs, type DeliveredBacklog } from './notes/deferred.ts'
import { partitionCountsBetween } from './notes/partition-moves.ts'

/** The events that were seen just before and after the missing numbers, as far as known. */
type Neighbours = {
  before?: EventPosition | undefined
  after?: EventPosition | undefined
  /** The delivered backlog to which all the missing numbers belong. */
  backlog?: DeliveredBacklog | undefined
}
/**
 * The epoch of the missing numbers: its first note, the moment of its highest claim (ms since
 * 1970), the id of its outbox.
 */
type EpochFacts = { start: EpochStart | null; end: number | null; store: string | null }
/** A time by the gateway's clock and the append time, both ms since 1970. */
type Moment = { at: number; appendTimeMs: number }

const NEVER: Moment = { at: Number.NEGATIVE_INFINITY, appendTimeMs: Number.NEGATIVE_INFINITY }
const later = (a: Moment, b: Moment): Moment => ({
  at: Math.max(a.at, b.at),
  appendTimeMs: Math.max(a.appendTimeMs, b.appendTimeMs),
})
const earlier = (a: Moment, b: Moment): Moment => ({
  at: Math.min(a.at, b.at),
  appendTimeMs: Math.min(a.appendTimeMs, b.appendTimeMs),
})

type GatewayFacts = Pick<
  GatewayLedger,
  'epochs' | 'oldestIn' | 'partitions' | 'partitionCountChanges' | 'deferrals'
>

export type ExpiryCheck = ReturnType<typeof createExpiryCheck>

/**
 * Judges whether Kafka's retention may have deleted events of a gateway. Each partition keeps the
 * order in which the gateway accepted the events. So only events can be deleted that were accepted
 * before the gateway's oldest event in the partition, and before Kafka stored the partition's
 * oldest record: a gateway's clock that is ahead excuses nothing.
 */
export function createExpiryCheck(
  { epochs, oldestIn, partitions, partitionCountChanges, deferrals }: GatewayFacts,
  logStarts: LogStarts,
  backfillLogStarts?: LogStarts,
) {
  const byStore = new Map<string | null, Map<number, Moment>>()
  /** Only events of the same store arrive in the order in which they were accepted. */
  const deletedByPartition = (store: string | null): Map<number, Moment> => {
    const isOfStore = ([epoch]: [number, number]) =>
      store === null || (epochs.get(epoch)?.store ?? store) === store
    // The first entry is of the oldest record.
    const oldest = (partition: number) =>
      [...(oldestIn.get(partition) ?? [])].find(isOfStore)?.[1] ?? Number.POSITIVE_INFINITY
    const found =
      byStore.get(store) ??
      new Map(
        [...logStarts].map(([partition, appendTimeMs]) => {
          const at = Math.min(appendTimeMs, oldest(partition))
          return [partition, { at, appendTimeMs }]
        }),
      )
    byStore.set(store, found)
    return found
  }
  /** For an unknown partition: up to when each of the first `count` partitions has deleted. */
  const deletedInEachOf = (count: number, store: string | null) =>
    [...deletedByPartition(store)]
      .flatMap(([partition, deleted]) => (partition < count ? [deleted] : []))
      .reduce<Moment | null>((a, b) => (a ? earlier(a, b) : b), null) ?? NEVER

  /**
   * Up to when Kafka may have deleted events of a zone; for a zone that moved between partitions,
   * the latest moment of these partitions.
   */
  const deletedIn = (zone: string | null, counts: number[], store: string | null): Moment => {
    const maxCount = counts.length > 0 ? Math.max(...counts) : Number.POSITIVE_INFINITY
    if (zone === null) return deletedInEachOf(maxCount, store)
    if (counts.length > 0) {
      const key = Buffer.from(zone)
      const deletedAmong = (count: number) =>
        deletedByPartition(store).get(partitionOf(key, count)) ?? deletedInEachOf(count, store)
      return counts.map(deletedAmong).reduce(later)
    }
    const partition = partitions.get(zone) ?? null
    return partition === null
      ? deletedInEachOf(maxCount, store)
      : (deletedByPartition(store).get(partition) ?? NEVER)
  }

  const { isBacklogDeleted, isBackfillDeleted } = createBackfillCheck(partitions, backfillLogStarts)

  /**
   * Whether Kafka may have deleted the events of missing numbers. The gateway accepted these events
   * between their neighbours, so the neighbours must be old too. `zone` is null when the zone is
   * unknown.
   */
  return (
    { before, after, backlog }: Neighbours,
    { start, end, store }: EpochFacts,
    zone: string | null,
  ): boolean => {
    // Only the topic to which an event went can have deleted the event.
    if (backlog && backfillLogStarts) return isBackfillDeleted(backlog, before, zone)
    const above = before?.sequence ?? (start ? start.first - 1 : Number.NEGATIVE_INFINITY)
    const below = after?.sequence ?? Number.POSITIVE_INFINITY
    const backlogEndMs = backlogAppendTimeMs(deferrals.get(store ?? ''), above, below)
    if (backlogEndMs !== null && isBacklogDeleted(backlogEndMs, zone)) return true
    const changes = partitionCountChanges.get(store ?? '') ?? []
    const deleted = deletedIn(zone, partitionCountsBetween(changes, above, below), store)
    const earliest = before ?? start
    if ((after?.at ?? end ?? Number.POSITIVE_INFINITY) > deleted.at) return false
    if (!earliest) return true
    return (
      earliest.at <= deleted.at &&
      earliest.appendTimeMs <= deleted.appendTimeMs + APPEND_TIME_TOLERANCE_MS
    )
  }
}

/** Judges whether the backfill topic may have deleted events. */
function createBackfillCheck(
  partitions: GatewayLedger['partitions'],
  logStarts: LogStarts = new Map(),
) {
  /** When Kafka stored the oldest record that is left of the zone's partition. */
  const startFor = (zone: string | null): number => {
    const partition = zone === null ? null : (partitions.get(zone) ?? null)
    if (partition !== null) return logStarts.get(partition) ?? Number.NEGATIVE_INFINITY
    return logStarts.size === 0 ? Number.NEGATIVE_INFINITY : Math.min(...logStarts.values())
  }
  return {
    /** Whether the topic may have deleted a backlog that ended before a moment. */
    isBacklogDeleted: (backlogEndMs: number, zone: string | null) => startFor(zone) > backlogEndMs,
    /**
     * Whether the topic may have deleted an event of a delivered backlog. Kafka stored the event
     * after the backlog began, and after the event before it in the backlog.
     */
    isBackfillDeleted(
      { from, startMs }: DeliveredBacklog,
      before: EventPosition | undefined,
      zone: string | null,
    ): boolean {
      const isInBacklog = before !== undefined && before.sequence >= from
      return startFor(zone) > (isInBacklog ? Math.max(startMs, before.appendTimeMs) : startMs)
    },
  }
}
