import { parseZoneFilter, type ZoneMatcher } from '../delivery/zone-filter.ts'
import type { StoredEvent, ZoneRange } from '../groups/group-codec.ts'
import type { Inbox, Range } from '../inbox.ts'
import type { OutboxReader } from '../read/outbox-reader.ts'
import type { ActiveRanges } from './active-ranges.ts'

/**
 * The oldest events of a range, and the position after these events. `events` may be empty when
 * none of the groups that were read contains an event of the range: it is limited to some zones, or
 * the groups are missing or unreadable.
 */
export type RangeBatch = { range: Range; events: StoredEvent[]; next: number }

/**
 * How many groups one batch reads for a range that is limited to some zones. Without a limit, very
 * many groups could be read without finding an event of these zones.
 */
const GROUPS_MAX = 50
const GONE = 'no longer in the outbox'

/** `last`: the last sequence that the batch may contain. */
export type BatchLimits = { maxEvents: number; maxBytes: number; last?: number }

type Parts = Pick<ActiveRanges, 'advance'> & Pick<Inbox, 'addNotes'> & { matcherOf: ZoneMatcher }

/**
 * Reads complete groups from the position of a range on, up to the limits or the first gap after an
 * event; null when there is nothing to read. Missing or unreadable events are named in a note of
 * the inbox before the range's position moves past them. For a replay, the kind of the note is `not
 * replayed`, because the events of a replay were delivered before.
 */
export function readBatch(
  reader: Pick<OutboxReader, 'groupAt' | 'missingUpTo'>,
  { advance, addNotes, matcherOf }: Parts,
  range: Range,
  limits: BatchLimits,
): RangeBatch | null {
  const events: StoredEvent[] = []
  const end = range.end ?? Number.MAX_SAFE_INTEGER
  const last = Math.min(end, limits.last ?? end)
  const isOfRange = matcherOf(range)
  let { next } = range
  let bytes = 0
  let groups = 0
  const skipTo = (
    kind: 'jump' | 'unreadable',
    sequence: number,
    details: { reason: string; zones?: ZoneRange[] },
  ) => {
    const to = Math.min(sequence, last)
    const span = { from: next, to, range: range.id, store: range.store.toString('hex') }
    const replay = { asked: range.reason, askedZones: parseZoneFilter(range) }
    addNotes([
      range.kind === 'replay'
        ? { kind: 'not replayed', content: { ...span, ...replay, ...details } }
        : { kind, content: { ...span, ...details } },
    ])
    next = to + 1
    advance(range, next)
  }
  const add = (content: StoredEvent[]) => {
    for (const event of content) {
      if (event.sequence < next || event.sequence > last) continue
      if (isOfRange && !isOfRange(event.zone)) continue
      events.push(event)
      bytes += event.value.length
    }
  }
  const isFull = () => events.length >= limits.maxEvents || bytes >= limits.maxBytes
  while (next <= last && !isFull() && (!isOfRange || groups++ < GROUPS_MAX)) {
    const group = reader.groupAt(next)
    if (!group) {
      const missingTo = events.length === 0 ? reader.missingUpTo(next) : null
      if (missingTo === null) break
      skipTo('jump', missingTo, { reason: GONE })
      continue
    }
    const { content } = group
    const groupEnd = group.sequence + group.count
    const isNextAndIntact = Array.isArray(content) && group.sequence <= next
    if (!isNextAndIntact && events.length > 0) break
    if (group.sequence > next) skipTo('jump', group.sequence - 1, { reason: GONE })
    if (next > last) break
    if (Array.isArray(content)) add(content)
    else if (mayContain(content.zones, isOfRange)) skipTo('unreadable', groupEnd - 1, content)
    next = Math.min(groupEnd, last + 1)
  }
  return events.length > 0 || next > range.next ? { range, events, next } : null
}

/**
 * Whether an unreadable group may contain events of the range. `zones` are the zones in the group's
 * header; undefined when the header is damaged too.
 */
function mayContain(zones: ZoneRange[] | undefined, isOfRange: ReturnType<ZoneMatcher>): boolean {
  return !zones || !isOfRange || zones.some(({ zone }) => isOfRange(zone))
}
