import type { Range } from './range.ts'
import { isReplay } from './replays.ts'

/** What a range is for; ARCHITECTURE.md, The road to Kafka. */
export type RangeKind = 'live' | 'backlog' | 'apart' | 'replay'

/** What a range is for, as its reason says. */
export function kindOf(range: Pick<Range, 'reason'>): RangeKind {
  if (isReplay(range)) return 'replay'
  const [word] = range.reason.split(' ')
  return word === 'backlog' || word === 'apart' ? word : 'live'
}

/** The reason of a range that brings later what others would wait for; `note` told the ledger. */
export function reasonOf(kind: 'backlog' | 'apart', note: number): string {
  return `${kind} since note ${note}`
}

/** The note that numbers will come later than what stands behind them: awaited, not missing. */
export function behindNote(range: Omit<Range, 'id'>, why: 'backlog' | 'apart'): Note {
  const { next: from, end: to, topic, partitions, zones } = range
  const which = { from, to, topic, partitions, zones: zones && JSON.parse(zones) }
  return ['behind', { store: range.store.toString('hex'), ...which, why }]
}

/** The note that all of them came. */
export function caughtUp(range: Pick<Range, 'store' | 'reason'>): Note {
  const note = Number(range.reason.split(' ').at(-1))
  return ['caught up', { store: range.store.toString('hex'), behind: note }]
}

type Note = [kind: string, content: object]
