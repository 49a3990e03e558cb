import { isReplay } from '../delivery/range-kind.ts'
import { parseZoneFilter, type ZoneMatcher } from '../delivery/zone-filter.ts'
import type { StoredEvent, ZoneRange } from '../groups/group-codec.ts'
import type { Inbox, Range } from '../inbox.ts'
import type { OutboxReader } from '../read/outbox-reader.ts'
import type { ActiveRanges } from './active-ranges.ts'

/**
 * What `take` gives: the oldest events of one range, and where the range goes on behind them. A
 * range of some zones may have none in what was looked at so far.
 */
export type RangeBatch = { range: Range; events: StoredEvent[]; next: number }

/** How many groups are read at once for a range whose zones may be in none of them. */
const GROUPS_MAX = 50
const GONE = 'no longer in the outbox'

/** `last`: no event behind this one. */
export type BatchLimits = { maxEvents: number; maxBytes: number; last?: number }

type Taking = Pick<ActiveRanges, 'advance'> & Pick<Inbox, 'addNotes'> & { chosenBy: ZoneMatcher }

/**
 * Reads whole groups from where a range stands, up to the limits or the first gap; null when there
 * is nothing. What is not there any more, or cannot be read, becomes a note of the inbox before the
 * range passes it: of a replay another one, because nothing of that waits to be delivered.
 */
export function readBatch(
  reader: Pick<OutboxReader, 'groupAt' | 'missingUpTo'>,
  { advance: move, addNotes, chosenBy }: Taking,
  range: Range,
  limits: BatchLimits,
): RangeBatch | null {
  const events: StoredEvent[] = []
  const end = range.end ?? Number.MAX_SAFE_INTEGER
  const last = Math.min(end, limits.last ?? end)
  const isChosen = chosenBy(range)
  let { next } = range
  let bytes = 0
  let groups = 0
  const pass = (
    kind: 'jump' | 'unreadable',
    upTo: number,
    more: { reason: string; zones?: ZoneRange[] },
  ) => {
    const to = Math.min(upTo, last)
    const span = { from: next, to, range: range.id, store: range.store.toString('hex') }
    const asked = { asked: range.reason, askedZones: parseZoneFilter(range) }
    addNotes([
      isReplay(range)
        ? { kind: 'not replayed', content: { ...span, ...asked, ...more } }
        : { kind, content: { ...span, ...more } },
    ])
    next = to + 1
    move(range, next)
  }
  const add = (content: StoredEvent[]) => {
    for (const event of content) {
      if (event.sequence < next || event.sequence > last) continue
      if (isChosen && !isChosen(event.zone)) continue
      events.push(event)
      bytes += event.value.length
    }
  }
  const isEnough = () => events.length >= limits.maxEvents || bytes >= limits.maxBytes
  while (next <= last && !isEnough() && (!isChosen || groups++ < GROUPS_MAX)) {
    const group = reader.groupAt(next)
    if (!group) {
      const gone = events.length === 0 ? reader.missingUpTo(next) : null
      if (gone === null) break
      pass('jump', gone, { reason: GONE })
      continue
    }
    const { content } = group
    const behind = group.sequence + group.count
    const whole = Array.isArray(content) && group.sequence <= next
    if (!whole && events.length > 0) break
    if (group.sequence > next) pass('jump', group.sequence - 1, { reason: GONE })
    if (next > last) break
    if (Array.isArray(content)) add(content)
    else if (mayHave(content.zones, isChosen)) pass('unreadable', behind - 1, content)
    next = Math.min(behind, last + 1)
  }
  return events.length > 0 || next > range.next ? { range, events, next } : null
}

/** Whether a group whose header names these zones (or none, when it is damaged) may have others. */
function mayHave(named: ZoneRange[] | undefined, isChosen: ReturnType<ZoneMatcher>): boolean {
  return !named || !isChosen || named.some(({ zone }) => isChosen(zone))
}
