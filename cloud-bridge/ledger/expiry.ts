import type { Begun, Mark } from './epoch.ts'
import type { Cuts, GatewayLedger } from './ledger.ts'

/** What stands beside numbers that were not seen, as far as it is known. */
type Beside = { before?: Mark | undefined; after?: Mark | undefined }
type Moment = { at: number; heardAt: number }

/** The clocks of Kafka's brokers, and notes and events on their way, may differ by so much. */
const HEARD_ABOUT_MS = 60_000

const NOTHING: Moment = { at: Number.NEGATIVE_INFINITY, heardAt: Number.NEGATIVE_INFINITY }
const earlier = (a: Moment, b: Moment): Moment => ({
  at: Math.min(a.at, b.at),
  heardAt: Math.min(a.heardAt, b.heardAt),
})

export type Expiry = ReturnType<typeof startExpiry>

/**
 * Judges whether Kafka may have deleted events of a gateway. In each partition it keeps the order
 * in which the gateway accepted them, so only those can be gone that were accepted before the
 * gateway's oldest one there, and before Kafka got the oldest record of all: a gateway's clock that
 * is ahead excuses nothing.
 */
export function startExpiry(
  { oldestIn, partitions }: Pick<GatewayLedger, 'oldestIn' | 'partitions'>,
  cuts: Cuts,
) {
  const byPartition = new Map(
    [...cuts].map(([partition, heardAt]) => {
      const at = Math.min(heardAt, oldestIn.get(partition) ?? Number.POSITIVE_INFINITY)
      return [partition, { at, heardAt }]
    }),
  )
  const all = [...byPartition.values()]
  /** Where the partition is not known, every one must have lost what was so old. */
  const least = all.length > 0 ? all.reduce(earlier) : NOTHING

  const deletedIn = (zone: string | null): Moment => {
    const partition = zone === null ? null : (partitions.get(zone) ?? null)
    return partition === null ? least : (byPartition.get(partition) ?? NOTHING)
  }

  /**
   * Whether numbers of an epoch that began with `begun` and is claimed up to `end` may be deleted.
   * They were accepted between what stands beside them, so all of that must be old, too; `zone` is
   * null where it is not known.
   */
  return (
    { before, after }: Beside,
    { begun, end }: { begun: Begun | null; end: number | null },
    zone: string | null,
  ): boolean => {
    const deleted = deletedIn(zone)
    const start = before ?? begun
    if ((after?.at ?? end ?? Number.POSITIVE_INFINITY) > deleted.at) return false
    if (!start) return true
    return start.at <= deleted.at && start.heardAt <= deleted.heardAt + HEARD_ABOUT_MS
  }
}
