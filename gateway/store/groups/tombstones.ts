import type { SequenceRange } from '../sequence/delivery-range.ts'
import { isEmptied, readHeader, type ZoneRange } from './group-codec.ts'
import type { GroupHead } from './group-table.ts'

/** What a note of this kind says: which events were deleted before they were delivered, and why. */
export type Tombstone = {
  epoch: number
  from: number
  to: number
  count: number
  zones: [zone: string, first: number, count: number][]
  reason: string
}

/** A group that is about to go; `to` is the last number it can have, whatever its row says. */
export type DoomedGroup = GroupHead & { to: number }

/**
 * The tombstones of groups in order: one for each run of neighbours of an epoch that somebody still
 * waits for. Of a group whose header cannot be trusted it names the numbers but not the zones. What
 * is emptied has its tombstones already; those of what is thinned name its numbers once more.
 */
export function tombstonesOf(
  groups: DoomedGroup[],
  spans: SequenceRange[] | null,
  reason: string,
): Tombstone[] {
  const tombstones: Tombstone[] = []
  for (const group of groups) {
    const { sequence, to, epoch } = group
    if (!isAwaited(spans, sequence, to)) continue
    const header = readHeader(group)
    if (Array.isArray(header) && isEmptied(group)) continue
    const zones = 'reason' in header ? [] : header
    const why = 'reason' in header ? `${reason}; ${header.reason}` : reason
    const last = 'reason' in header ? to : sequence + group.count - 1
    const own = { epoch, from: sequence, to: last, count: last - sequence + 1, reason: why }
    const before = tombstones.at(-1)
    const goesOn = before?.epoch === epoch && before.to + 1 === sequence && before.reason === why
    if (goesOn) Object.assign(before, { to: last, count: before.count + own.count })
    else tombstones.push({ ...own, zones: [] })
    addZones(tombstones.at(-1)!.zones, zones)
  }
  return tombstones
}

/** Whether the bridge has still to deliver any of these numbers; null: it has said nothing yet. */
export function isAwaited(spans: SequenceRange[] | null, from: number, to: number): boolean {
  return spans === null || spans.some(({ next, end }) => next <= to && (end ?? to) >= from)
}

function addZones(known: Tombstone['zones'], more: ZoneRange[]): void {
  for (const { zone, first, count } of more) {
    const last = known.findLast(([name]) => name === zone)
    if (last && last[1] + last[2] === first) last[2] += count
    else known.push([zone, first, count])
  }
}
