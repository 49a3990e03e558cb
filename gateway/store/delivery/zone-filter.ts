import { createPartitioner } from '../../../config/event/partitioner.ts'
import type { Range } from '../sequence/delivery-range.ts'

/**
 * The zones of a range: all zones (null), zones by name, the zones of some partitions (`only`), or
 * the zones of all other partitions (`without`).
 */
export type ZoneFilter = null | string[] | { only: number[] } | { without: number[] }

/** Decodes the column `zones`. */
export function parseZoneFilter({ zones }: Pick<Range, 'zones'>): ZoneFilter {
  return zones === null ? null : JSON.parse(zones)
}

/** Encodes the column `zones`; a filter that excludes no partition means all zones. */
export function formatZoneFilter(filter: ZoneFilter): string | null {
  const isAll = filter === null || ('without' in filter && filter.without.length === 0)
  return isAll ? null : JSON.stringify(filter)
}

/** The partitions of an isolated range; empty for other ranges. */
export function includedPartitions(range: Pick<Range, 'zones'>): number[] {
  const filter = parseZoneFilter(range)
  return filter !== null && 'only' in filter ? filter.only : []
}

/** The partitions whose events a range leaves to the ranges of isolated partitions. */
export function excludedPartitions(range: Pick<Range, 'zones'>): number[] {
  const filter = parseZoneFilter(range)
  return filter !== null && 'without' in filter ? filter.without : []
}

/**
 * Returns the function that tests whether a zone belongs to the range; null when all zones belong
 * to the range.
 */
export type ZoneMatcher = (range: Range) => ((zone: string) => boolean) | null

/** Creates a matcher that remembers the partition of each zone. */
export function createZoneMatcher(): ZoneMatcher {
  const partitioners = new Map<number, ReturnType<typeof createPartitioner>>()
  return range => {
    const filter = parseZoneFilter(range)
    if (filter === null) return null
    if (Array.isArray(filter)) {
      const names = new Set(filter)
      return zone => names.has(zone)
    }
    const partitioner = partitioners.get(range.partitions) ?? createPartitioner(range.partitions)
    partitioners.set(range.partitions, partitioner)
    const isOnly = 'only' in filter
    const partitions = new Set(isOnly ? filter.only : filter.without)
    return zone => partitions.has(partitioner(zone).partition) === isOnly
  }
}
