import { IntervalSet } from '../../interval-set.ts'
import type { DeferredRange, LedgerNote } from './notes.ts'

/**
 * A range that arrived, or that nothing will deliver any more, and when Kafka stored the note that
 * says so.
 */
type FinishedRange = DeferredRange & { appendTimeMs: number } & Delivery
/**
 * `isDelivered`: a `caught up` note says that all events of the range arrived. Kafka stored the
 * `behind` note at `startMs` (ms since 1970; -Infinity: unknown). `run` wrote the note.
 */
type Delivery = { isDelivered: boolean; startMs: number; run: number | null }

/** A backlog of which every event was delivered to the backfill topic, after `startMs`. */
export type DeliveredBacklog = { from: number; to: number; startMs: number }

/** The deferred ranges of one outbox, as notes of the bridge's inbox report them. */
export type DeferralLedger = {
  open: Map<string, DeferredRange & { inbox: string; run: number | null; appendTimeMs: number }>
  finished: Map<string, FinishedRange>
}

type DeferralNote = Extract<LedgerNote, { kind: 'behind' | 'caught up' | 'contact' }>

const UNKNOWN_MS = Number.NEGATIVE_INFINITY

/** The range is part of the key because a restored inbox reuses note numbers. */
const keyOf = (inbox: string, { note, from, to }: DeferredRange) => `${inbox} ${note} ${from} ${to}`

/**
 * Applies a note about deferred ranges: a range is deferred (`behind`), a range arrived (`caught
 * up`), or the inbox lists all ranges that are still deferred (`contact`). A `contact` note
 * finishes each older range that the note does not list, and so each range of another inbox: the
 * other inbox no longer exists. Duplicates of a note change nothing.
 */
export function addDeferralNote(
  { deferrals }: { deferrals: Map<string, DeferralLedger> },
  note: DeferralNote,
) {
  const { store, inbox, run, appendTimeMs } = note
  const known: DeferralLedger = deferrals.get(store) ?? { open: new Map(), finished: new Map() }
  deferrals.set(store, known)
  const finish = (key: string, range: DeferredRange, isDelivered: boolean) => {
    const before = known.finished.get(key)
    const startMs = known.open.get(key)?.appendTimeMs ?? before?.startMs ?? UNKNOWN_MS
    known.open.delete(key)
    const isKnown = isDelivered || before?.isDelivered === true
    known.finished.set(key, { ...range, appendTimeMs, isDelivered: isKnown, startMs, run })
  }
  if (note.kind === 'contact') {
    const listed = new Set(note.deferred.map(range => keyOf(inbox, range)))
    for (const [key, range] of known.open) {
      if (!listed.has(key) && range.appendTimeMs <= appendTimeMs) finish(key, range, false)
    }
    return
  }
  const key = keyOf(inbox, note.deferred)
  if (note.kind === 'caught up') finish(key, note.deferred, true)
  else {
    const finished = known.finished.get(key)
    if (!finished) known.open.set(key, { ...note.deferred, inbox, run, appendTimeMs })
    else if (finished.startMs === UNKNOWN_MS) finished.startMs = appendTimeMs
  }
}

/**
 * The sequences of an outbox that are still deferred; `isOf` says whether the notes of a run are
 * valid for the sequences. Notes of earlier versions, which do not name their run, always are.
 */
export function deferredSequences(
  known: DeferralLedger | undefined,
  isOf: (run: number) => boolean = () => true,
): IntervalSet {
  const sequences = new IntervalSet()
  for (const { from, to, run } of known?.open.values() ?? []) {
    if (run !== null && !isOf(run)) continue
    sequences.addRange(from, to ?? Number.MAX_SAFE_INTEGER)
  }
  return sequences
}

/**
 * The delivered backlogs of an outbox, in order and without overlap; `isOf` says whether the notes
 * of a run are valid for the sequences.
 */
export function deliveredBacklogs(
  known: DeferralLedger | undefined,
  isOf: (run: number) => boolean,
): DeliveredBacklog[] {
  const covered = new IntervalSet()
  const backlogs: DeliveredBacklog[] = []
  for (const { from, to, run, isBacklog, isDelivered, startMs } of known?.finished.values() ?? []) {
    if (!isBacklog || !isDelivered || to === null || (run !== null && !isOf(run))) continue
    for (const gap of covered.gaps(from, to)) {
      backlogs.push({ from: gap.from, to: gap.to, startMs })
    }
    covered.addRange(from, to)
  }
  return backlogs.sort((a, b) => a.from - b.from)
}

/**
 * The append time (ms since 1970) of the last note that finished a backlog with numbers between two
 * sequences, both excluded; null when no backlog had such numbers.
 */
export function backlogAppendTimeMs(
  known: DeferralLedger | undefined,
  above: number,
  below: number,
): number | null {
  const backlogs = [...(known?.finished.values() ?? [])].filter(
    ({ isBacklog, from, to }) => isBacklog && from < below && (to ?? from) > above,
  )
  return backlogs.length > 0 ? Math.max(...backlogs.map(({ appendTimeMs }) => appendTimeMs)) : null
}
