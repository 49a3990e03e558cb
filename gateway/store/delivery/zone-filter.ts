import { createPartitioner } from '../../../config/event/partitioner.ts'
import type { Range } from '../sequence/delivery-range.ts'

/** The zones that a range is of: all, some by name, those of some partitions, or all others. */
export type ZoneFilter = null | string[] | { only: number[] } | { without: number[] }

/** Reads what the column `zones` says. */
export function parseZoneFilter({ zones }: Pick<Range, 'zones'>): ZoneFilter {
  return zones === null ? null : JSON.parse(zones)
}

/** Writes what the column `zones` says; leaving out no partition is all. */
export function formatZoneFilter(zones: ZoneFilter): string | null {
  const isAll = zones === null || ('without' in zones && zones.without.length === 0)
  return isAll ? null : JSON.stringify(zones)
}

/** The partitions that a range apart is of. */
export function includedPartitions(range: Pick<Range, 'zones'>): number[] {
  const zones = parseZoneFilter(range)
  return zones !== null && 'only' in zones ? zones.only : []
}

/** The partitions that a range leaves to others. */
export function excludedPartitions(range: Pick<Range, 'zones'>): number[] {
  const zones = parseZoneFilter(range)
  return zones !== null && 'without' in zones ? zones.without : []
}

export type ZoneMatcher = (range: Range) => ((zone: string) => boolean) | null

/** Tells whether a zone is of a range, or null when all are; remembers each zone's partition. */
export function createZoneMatcher(): ZoneMatcher {
  const placers = new Map<number, ReturnType<typeof createPartitioner>>()
  return range => {
    const zones = parseZoneFilter(range)
    if (zones === null) return null
    if (Array.isArray(zones)) {
      const named = new Set(zones)
      return zone => named.has(zone)
    }
    const place = placers.get(range.partitions) ?? createPartitioner(range.partitions)
    placers.set(range.partitions, place)
    const isOnly = 'only' in zones
    const some = new Set(isOnly ? zones.only : zones.without)
    return zone => some.has(place(zone).partition) === isOnly
  }
}
