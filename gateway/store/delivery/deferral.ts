import type { Note } from '../notes/note-kinds.ts'
import type { Range } from '../sequence/delivery-range.ts'

/** The kinds of a deferred range: a range whose events arrive after newer events. */
type DeferredKind = 'backlog' | 'apart'

/**
 * Creates the `behind` note of a range: its events arrive after newer events, so the ledger does
 * not report them as missing meanwhile.
 */
export function deferralNote(range: Omit<Range, 'id'>, kind: DeferredKind): Note {
  const { next: from, end: to, topic, partitions, zones } = range
  const which = { from, to, topic, partitions, zones: zones && JSON.parse(zones) }
  return { kind: 'behind', content: { store: range.store.toString('hex'), ...which, why: kind } }
}

/** Returns a range as a deferred range; `note` is the number of its `behind` note. */
export function asDeferred<T extends Omit<Range, 'id'>>(
  range: T,
  kind: DeferredKind,
  note: number,
) {
  const { next: from, end: to } = range
  const reason = `${kind} since note ${note} from ${from} to ${to}`
  return { ...range, kind, deferral: { note, from, to }, reason }
}

/**
 * Returns the content that a `contact` or `caught up` note has for a deferred range; null for any
 * other range.
 */
export function deferralContent({ kind, deferral }: Pick<Range, 'kind' | 'deferral'>) {
  if (!deferral || (kind !== 'backlog' && kind !== 'apart')) return null
  const { note: behind, from, to } = deferral
  return { behind, from, to, why: kind }
}

/** Creates the `caught up` note: all events of a deferred range are delivered. */
export function caughtUpNote(range: Pick<Range, 'store' | 'kind' | 'deferral'>): Note {
  const content = { store: range.store.toString('hex'), ...deferralContent(range)! }
  return { kind: 'caught up', content }
}
