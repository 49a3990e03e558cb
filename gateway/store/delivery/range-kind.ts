import type { Note } from '../notes/note-kinds.ts'
import type { Range } from '../sequence/delivery-range.ts'

/** What a range is for, see docs/glossary.md; `apart`: an isolated partition. */
export type RangeKind = 'live' | 'backlog' | 'apart' | 'replay'

/** The kind of a range, from the text in its column `reason`. */
export function rangeKind(range: Pick<Range, 'reason'>): RangeKind {
  if (isReplay(range)) return 'replay'
  const [word] = range.reason.split(' ')
  return word === 'backlog' || word === 'apart' ? word : 'live'
}

type DeferredKind = 'backlog' | 'apart'

/** The `reason` of a deferred range; `note` is the number of its `behind` note. */
export function deferralReason(
  kind: DeferredKind,
  note: number,
  { next, end }: Pick<Range, 'next' | 'end'>,
) {
  return `${kind} since note ${note} from ${next} to ${end}`
}

/** The note that a range's events arrive after newer ones: the ledger awaits them. */
export function deferralNote(range: Omit<Range, 'id'>, why: DeferredKind): Note {
  const { next: from, end: to, topic, partitions, zones } = range
  const which = { from, to, topic, partitions, zones: zones && JSON.parse(zones) }
  return { kind: 'behind', content: { store: range.store.toString('hex'), ...which, why } }
}

/** What the `behind` note of a deferred range says: its number (`behind`), sequences and reason. */
export function parseDeferral({ reason }: Pick<Range, 'reason'>) {
  const [, why, note, from, to] =
    /^(\w+) since note (\d+) from (\d+) to (\d+|null)$/.exec(reason) ?? []
  const last = to === 'null' ? null : Number(to)
  return { behind: Number(note), from: Number(from), to: last, why: why as DeferredKind }
}

/** The note that all events of a deferred range are delivered. */
export function caughtUpNote(range: Pick<Range, 'store' | 'reason'>): Note {
  const content = { store: range.store.toString('hex'), ...parseDeferral(range) }
  return { kind: 'caught up', content }
}

const REPLAY = 'replay'

/** The `reason` of a replay of the events received in a period; times in ms since 1970. */
export function replayReason(fromMs: number, toMs: number): string {
  return `${REPLAY} ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`
}

/** Whether a range is a replay: all of its events were delivered before. */
export const isReplay = ({ reason }: { reason?: string }) =>
  reason?.startsWith(`${REPLAY} `) ?? false
