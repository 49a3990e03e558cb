import type { Tombstone } from '../notes/note-kinds.ts'
import { jsonBytes, NOTE_MAX_BYTES } from '../notes/note-size.ts'
import type { SequenceRange } from '../sequence/delivery-range.ts'
import { isEmptied, readHeader, type ZoneRange } from './group-codec.ts'
import type { GroupHead } from './group-table.ts'

/**
 * A group that will be deleted. `to` is the last sequence before the next group, which is right
 * even when the row's `count` is damaged.
 */
export type DoomedGroup = GroupHead & { to: number }

/**
 * Creates the tombstones of groups, which are in order: one tombstone for each run of adjacent,
 * undelivered groups of an epoch. `undelivered` are the ranges that the bridge has still to
 * deliver; null means that they are unknown, so that all events count as undelivered. A run whose
 * zones exceed `NOTE_MAX_BYTES` has several tombstones. For a group whose header cannot be trusted,
 * the tombstone contains sequences and no zones. An emptied group gets no tombstone, because its
 * tombstone was written when the group was emptied. The tombstone of a thinned group also names the
 * events that thinning removed before.
 */
export function tombstonesOf(
  groups: DoomedGroup[],
  undelivered: SequenceRange[] | null,
  reason: string,
): Tombstone[] {
  const tombstones: Tombstone[] = []
  let zonesOfLast = createZoneList()
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
    if (isAdjacent && zonesOfLast.hasRoomFor(zones)) {
      Object.assign(before, { to: last, count: before.count + span.count })
    } else {
      zonesOfLast = createZoneList()
      tombstones.push({ ...span, zones: zonesOfLast.entries })
    }
    zonesOfLast.add(zones)
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

/**
 * Creates the list of a tombstone's zones. When the zone sequences of a zone continue its last
 * entry, that entry is extended. `hasRoomFor` returns whether the entries stay within
 * `NOTE_MAX_BYTES` when each of the zones needs an entry of its own.
 */
function createZoneList() {
  const entries: Tombstone['zones'] = []
  const lastOf = new Map<string, Tombstone['zones'][number]>()
  let bytes = 0
  return {
    entries,
    hasRoomFor(zones: ZoneRange[]): boolean {
      const more = zones.map(({ zone, first, count }) => jsonBytes([zone, first, count]))
      return bytes + more.reduce((sum, size) => sum + size, 0) <= NOTE_MAX_BYTES
    },
    add(zones: ZoneRange[]): void {
      for (const { zone, first, count } of zones) {
        const last = lastOf.get(zone)
        if (last && last[1] + last[2] === first) last[2] += count
        else {
          const entry: Tombstone['zones'][number] = [zone, first, count]
          bytes += jsonBytes(entry)
          entries.push(entry)
          lastOf.set(zone, entry)
        }
      }
    },
  }
}
