import type { Tombstone } from '../notes/note-kinds.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import { isEmptied, readHeader, type ZoneRange } from './group-codec.ts'
import type { GroupHead } from './group-table.ts'

/**
 * A group that will be deleted. `to` is the last sequence before the next group,
 * whatever the row's `count` says.
 */
export type DoomedGroup = GroupHead & { to: number }

/**
 * The tombstones of groups in order: one for each run of adjacent, undelivered groups of an epoch.
 * `undelivered` are the ranges that the bridge has still to deliver; null: unknown, so all. For a
 * group whose header cannot be trusted, the tombstone has sequences and no zones. An emptied group
 * has its tombstone already. A thinned group's tombstone names its removed events once more.
 */
export function tombstonesOf(
  groups: DoomedGroup[],
  undelivered: SequenceRange[] | null,
  reason: string,
): Tombstone[] {
  const tombstones: Tombstone[] = []
  for (const group of groups) {
    const { sequence, to, epoch } = group
    if (!isUndelivered(undelivered, sequence, to)) continue
    const header = readHeader(group)
    if (Array.isArray(header) && isEmptied(group)) continue
    const zones = 'reason' in header ? [] : header
    const why = 'reason' in header ? `${reason}; ${header.reason}` : reason
    const last = 'reason' in header ? to : sequence + group.count - 1
    const span = { epoch, from: sequence, to: last, count: last - sequence + 1, reason: why }
    const before = tombstones.at(-1)
    const isAdjacent =
      before?.epoch === epoch && before.to + 1 === sequence && before.reason === why
    if (isAdjacent) Object.assign(before, { to: last, count: before.count + span.count })
    else tombstones.push({ ...span, zones: [] })
    addZones(tombstones.at(-1)!.zones, zones)
  }
  return tombstones
}

/** Whether the bridge has still to deliver any sequence of a span; true when that is unknown. */
export function isUndelivered(
  undelivered: SequenceRange[] | null,
  from: number,
  to: number,
): boolean {
  return (
    undelivered === null || undelivered.some(({ next, end }) => next <= to && (end ?? to) >= from)
  )
}

/** Adds zones; a zone whose zone sequences continue extends its last entry. */
function addZones(known: Tombstone['zones'], more: ZoneRange[]): void {
  for (const { zone, first, count } of more) {
    const last = known.findLast(([name]) => name === zone)
    if (last && last[1] + last[2] === first) last[2] += count
    else known.push([zone, first, count])
  }
}
