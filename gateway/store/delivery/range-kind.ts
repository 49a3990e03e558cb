import type { Range } from '../sequence/delivery-range.ts'

/** What a range is for; ARCHITECTURE.md, The road to Kafka. */
export type RangeKind = 'live' | 'backlog' | 'apart' | 'replay'

/** What a range is for, as its reason says. */
export function rangeKind(range: Pick<Range, 'reason'>): RangeKind {
  if (isReplay(range)) return 'replay'
  const [word] = range.reason.split(' ')
  return word === 'backlog' || word === 'apart' ? word : 'live'
}

type Behind = 'backlog' | 'apart'

/** The reason of a range that brings later what others would wait for; `note` told the ledger. */
export function deferralReason(
  why: Behind,
  note: number,
  { next, end }: Pick<Range, 'next' | 'end'>,
) {
  return `${why} since note ${note} from ${next} to ${end}`
}

/** The note that numbers will come later than what stands behind them: awaited, not missing. */
export function deferralNote(range: Omit<Range, 'id'>, why: Behind): Note {
  const { next: from, end: to, topic, partitions, zones } = range
  const which = { from, to, topic, partitions, zones: zones && JSON.parse(zones) }
  return ['behind', { store: range.store.toString('hex'), ...which, why }]
}

/** What the ledger was told of a range when it began: in which note, and which numbers. */
export function parseDeferral({ reason }: Pick<Range, 'reason'>) {
  const [, why, note, from, to] =
    /^(\w+) since note (\d+) from (\d+) to (\d+|null)$/.exec(reason) ?? []
  return { behind: Number(note), from: Number(from), to: to === 'null' ? null : Number(to), why }
}

/** The note that all of them came. */
export function caughtUpNote(range: Pick<Range, 'store' | 'reason'>): Note {
  return ['caught up', { store: range.store.toString('hex'), ...parseDeferral(range) }]
}

type Note = [kind: string, content: object]

const WORD = 'replay'

/** The kind of the note that says what of a replay was not sent, and why. */
export const NOT_REPLAYED = 'not replayed'

/** Why a range is there that sends once more what was delivered; times in ms since 1970. */
export function replayReason(fromMs: number, toMs: number): string {
  return `${WORD} ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`
}

/** Whether a range sends once more what was delivered: nothing of it waits to be delivered. */
export const isReplay = ({ reason }: { reason?: string }) => reason?.startsWith(`${WORD} `) ?? false
