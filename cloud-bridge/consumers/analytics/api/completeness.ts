import { missingKey } from '../../runtime/deduplication.ts'
import type { ConsumerStateAccess } from '../../state/state.ts'
import { readStatus } from '../partition-status.ts'

const GATEWAYS_MAX = 20

/**
 * What an answer does not show, over all zones: the readings that are not in its windows yet, and
 * the readings that count at another time than their devices say. `reason` is null when there are
 * no such readings.
 */
export type Completeness = {
  /** Readings without a trusted time. */
  pending: {
    readings: number
    /**
     * The append time of the first; and the time after which the next event of its partition
     * counts the first at the latest. ISO 8601.
     */
    since: string | null
    until: string | null
    /** The gateways with the most pending readings. */
    gateways: { gateway: string; readings: number }[]
    reason: string | null
  }
  /** Events below a received number that have not arrived. */
  missing: { events: number; reason: string | null }
  /** Events that arrived after later ones of their zone. They are in the windows. */
  late: { backlog: number; outOfOrder: number; reason: string | null }
  /** Readings at the time of receipt. */
  countedAtReceipt: { older: number; ahead: number; reason: string | null }
}

/** Reads the committed completeness of all partitions. `clockWaitMs` as in the configuration. */
export async function readCompleteness(
  state: ConsumerStateAccess,
  clockWaitMs: number,
): Promise<Completeness> {
  const gateways = new Map<string, number>()
  let since = Number.POSITIVE_INFINITY
  let [missing, late, outOfOrder, older, ahead] = [0, 0, 0, 0, 0]
  for (const partition of await state.partitions()) {
    const reader = await state.reader(partition)
    const status = await readStatus(reader)
    const [missingRow] = await reader.get([missingKey])
    missing += missingRow ? JSON.parse(missingRow.toString()) : 0
    late += status.late
    outOfOrder += status.outOfOrder
    older += status.older
    ahead += status.ahead
    for (const [gateway, pending] of Object.entries(status.pending)) {
      gateways.set(gateway, (gateways.get(gateway) ?? 0) + pending.readings)
      since = Math.min(since, pending.since)
    }
  }
  const most = [...gateways].sort(([, a], [, b]) => b - a)
  const readings = most.reduce((sum, [, count]) => sum + count, 0)
  const isoOf = (ms: number) => (readings === 0 ? null : new Date(ms).toISOString())
  const reasonIf = (count: number, reason: string) => (count === 0 ? null : reason)
  return {
    pending: {
      ...{ readings, since: isoOf(since), until: isoOf(since + clockWaitMs) },
      gateways: most
        .slice(0, GATEWAYS_MAX)
        .map(([gateway, count]) => ({ gateway, readings: count })),
      reason: reasonIf(
        readings,
        "the clocks of these gateways were not trusted. The readings count when the gateway's " +
          'clock note arrives, or after consumers.analytics.clockWaitMs: see ./sluice doctor there',
      ),
    },
    missing: {
      events: missing,
      reason: reasonIf(
        missing,
        'later events of their zones have arrived. ./sluice ledger verify names the gaps',
      ),
    },
    late: {
      ...{ backlog: late, outOfOrder },
      reason: reasonIf(
        late + outOfOrder,
        'they arrived after later events of their zones, and are in the windows of their time',
      ),
    },
    countedAtReceipt: {
      ...{ older, ahead },
      reason: reasonIf(
        older + ahead,
        "the device's own time was more than a day before the receipt (older), or more than a " +
          'minute after (ahead)',
      ),
    },
  }
}
