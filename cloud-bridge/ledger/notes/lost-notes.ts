import { type Gap, IntervalSet } from '../../interval-set.ts'
import { sizeOf } from '../gap-segments.ts'
import { APPEND_TIME_TOLERANCE_MS, type GatewayLedger, type LogStarts } from '../ledger.ts'
import type { LostNotes } from './named-lost-notes.ts'
import type { RunNumbers } from './note-numbers.ts'

/** Lost notes of a file, as `--json` prints them; `run` is the run that wrote or named them. */
export type LostRange = Omit<LostNotes, 'isSkipped'> & { store: string; run: number | null }

/** How many lost notes the retirement of each store settles. */
export type RetiredNotes = Map<string, number>

type Options = { noteLogStarts?: LogStarts; deadLetterLogStarts?: LogStarts }
/** Lost notes, and since when Kafka shows that they are lost (ms since 1970). */
type Found = LostRange & { shownMs: number; outbox: string | null }

const REASON = 'in neither the ledger topic nor the dead-letter topic'
const REASON_WITHOUT_TOPIC = 'not in the ledger topic; Kafka has no dead-letter topic'

/**
 * Lists the lost notes of a gateway: the numbers that a note calls lost and that did not arrive,
 * and the numbers that arrived nowhere, that no note names, and that Kafka's retention cannot have
 * deleted. The notes that the retirement of their store settles are counted apart.
 */
export function findLostNotes(known: GatewayLedger, options: Options) {
  const lostNotes: LostRange[] = []
  const retiredNotes: RetiredNotes = new Map()
  for (const { shownMs, outbox, ...lost } of [...namedIn(known), ...unnamedIn(known, options)]) {
    const retiredMs = known.retirements.of({ store: outbox })?.appendTimeMs
    if (retiredMs === undefined || shownMs > retiredMs) lostNotes.push(lost)
    else retiredNotes.set(outbox!, (retiredNotes.get(outbox!) ?? 0) + sizeOf(lost))
  }
  return { lostNotes, retiredNotes }
}

/** The numbers that notes call lost, without those that arrived; each number of a run once. */
function namedIn(known: GatewayLedger): Found[] {
  const reported = new Map<string, IntervalSet>()
  return known.lostNotes.flatMap(({ isSkipped = false, appendTimeMs, ...named }) => {
    const { origin, store, run, from, to } = named
    const runs = known.noteNumbers.runsOf(origin, store)
    const own = runs.find(numbers => numbers.run === run)
    const first = isSkipped
      ? Number.POSITIVE_INFINITY
      : (own?.arrived.lowest ?? Number.POSITIVE_INFINITY)
    const key = `${origin} ${store} ${run}`
    const settled = reported.get(key) ?? new IntervalSet()
    reported.set(key, settled)
    const arrived = new IntervalSet()
    for (const [first, last] of settled.spans) arrived.addRange(first, last)
    for (const numbers of runs) {
      if (run !== null && !isSameNote(numbers)) continue
      addSpans(arrived, numbers, from, isEarlier(numbers) ? Math.min(to, first - 1) : to)
    }
    const outbox = own?.outbox ?? (origin === 'outbox' ? store : null)
    settled.addRange(from, to)
    return rangesOf(arrived.gaps(from, to)).map(range => ({
      ...{ ...named, ...range, outbox, shownMs: appendTimeMs },
    }))

    function isEarlier(numbers: RunNumbers): boolean {
      return run !== null && numbers.run !== null && numbers.run !== run
    }
    // The run itself, its ancestors, and a run of which nothing was heard since this run began: a
    // restored image does not know the run that it replaces.
    function isSameNote(numbers: RunNumbers): boolean {
      if (!isEarlier(numbers) || known.runs.lineage(run!).includes(numbers.run!)) return true
      return own !== undefined && numbers.newestMs <= own.oldestMs
    }
  })
}

/** The numbers below the highest one that arrived nowhere and that no note calls lost. */
function unnamedIn(known: GatewayLedger, options: Options): Found[] {
  const { deadLetterTopic } = known.noteNumbers
  if (deadLetterTopic === 'unread') return []
  const reason = deadLetterTopic === 'absent' ? REASON_WITHOUT_TOPIC : REASON
  const deletedMs = deletedUpTo(known, options)
  return known.noteNumbers.runsUnder(known.gateway).flatMap(numbers => {
    const { origin, file: store, run, outbox, newestMs } = numbers
    const others = known.noteNumbers.runsOf(origin, store).filter(other => other !== numbers)
    const gaps = [...gapBefore(numbers, others), ...gapsWithin(numbers)]
    const isKept = ({ before = Number.NEGATIVE_INFINITY }: Gap<number>) => before >= deletedMs
    return gaps.filter(isKept).flatMap(gap => {
      const explained = explainedIn(gap, numbers, others, known)
      return rangesOf(explained.gaps(gap.from, gap.to)).map(range => ({
        ...{ origin, store, run, outbox, reason, ...range, shownMs: gap.after ?? newestMs },
      }))
    })
  })
}

function gapsWithin({ arrived, judgedTo }: RunNumbers): Gap<number>[] {
  return arrived.gaps(arrived.lowest ?? judgedTo + 1, judgedTo)
}

/**
 * The numbers between the first note of a run and the last earlier note of the same file. The notes
 * of a rebuilt inbox begin anywhere.
 */
function gapBefore({ arrived, origin }: RunNumbers, others: RunNumbers[]): Gap<number>[] {
  const first = arrived.lowest
  if (first === undefined) return []
  const isBefore = (other: RunNumbers) => (other.arrived.lowest ?? first) < first
  const before = others.filter(isBefore).map(other => other.arrived.highest!)
  if (before.length === 0 && origin === 'inbox') return []
  const last = Math.max(0, ...before)
  const gap = arrived.gaps(first - 1, first - 1)[0]
  const marks = others.flatMap(other =>
    other.arrived.highest === last ? other.arrived.gaps(last + 1, last + 1) : [],
  )
  if (last >= first - 1) return []
  const beforeMs = marks[0]?.before
  return [
    {
      ...{ from: last + 1, to: first - 1 },
      ...(beforeMs !== undefined && { before: beforeMs }),
      ...(gap?.after !== undefined && { after: gap.after }),
    },
  ]
}

/** The numbers of a gap that arrived as notes of another run, or that a note calls lost. */
function explainedIn(
  { from, to }: Gap<number>,
  numbers: RunNumbers,
  others: RunNumbers[],
  { lostNotes, runs }: GatewayLedger,
): IntervalSet {
  const { origin, file, run } = numbers
  const isRelated = (other: number | null) => {
    if (run === null || other === null) return true
    return runs.lineage(run).includes(other) || runs.lineage(other).includes(run)
  }
  const haveCommonRun = (other: number) =>
    runs.lineage(other).some(at => runs.lineage(run!).includes(at))
  const explained = new IntervalSet()
  for (const other of others) {
    // The bridge can read an older outbox again, and then names an earlier run in its inbox.
    const isOfInbox = origin === 'inbox' && (isRelated(other.run) || !haveCommonRun(other.run!))
    if (run === null || other.run === null || isOfInbox) addSpans(explained, other, from, to)
  }
  for (const lost of lostNotes) {
    if (lost.origin !== origin || lost.store !== file || !isRelated(lost.run)) continue
    explained.addRange(Math.max(from, lost.from), Math.min(to, lost.to))
  }
  return explained
}

/** Kafka can have deleted a note that was stored before this moment (ms since 1970). */
function deletedUpTo(
  { notePartitions }: GatewayLedger,
  { noteLogStarts = new Map(), deadLetterLogStarts = new Map() }: Options,
): number {
  const own = [...noteLogStarts].filter(([partition]) => notePartitions.has(partition))
  const starts = [...own.map(([, startMs]) => startMs), ...deadLetterLogStarts.values()]
  return Math.max(Number.NEGATIVE_INFINITY, ...starts) + APPEND_TIME_TOLERANCE_MS
}

function addSpans(set: IntervalSet, { arrived }: RunNumbers, from: number, to: number): void {
  for (const [first, last] of arrived.spans) {
    set.addRange(Math.max(from, first), Math.min(to, last))
  }
}

const rangesOf = (gaps: Gap<unknown>[]) => gaps.map(({ from, to }) => ({ from, to }))
