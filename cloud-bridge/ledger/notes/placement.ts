import { IntervalSet } from '../../interval-set.ts'
import type { EpochLedger } from '../epoch.ts'
import type { ExplainedRange } from '../gap-segments.ts'
import type { ReportedGap } from '../gaps.ts'
import type { GatewayLedger } from '../ledger.ts'
import type { Explanation } from './notes.ts'

type EpochRange = { epoch: EpochLedger; from: number; to: number }

/**
 * Assigns the numbers that each note explains to their epochs; numbers of no known epoch are
 * returned as `unplaced` gaps. A note explains numbers only of the run that wrote the note and of
 * the runs from which this run descends: a cloned card, or a card with an old image, knows nothing
 * of the other branch.
 */
export function explanationsByEpoch(known: GatewayLedger) {
  const byEpoch = new Map<EpochLedger, ExplainedRange[]>()
  const unplaced: Omit<ReportedGap, 'gateway'>[] = []
  const place = (epoch: EpochLedger, range: ExplainedRange) => {
    const ranges = byEpoch.get(epoch) ?? []
    byEpoch.set(epoch, ranges)
    ranges.push(range)
  }
  for (const [store, explanations] of known.explanations) {
    const rangesByRun = new Map<number | null, EpochRange[]>()
    for (const explanation of explanations) {
      const { from, to, epoch, run } = explanation
      const epochRanges = rangesByRun.get(run) ?? epochRangesOf(known, store, run)
      rangesByRun.set(run, epochRanges)
      const own = epoch !== null && known.epochs.has(epoch)
      const placed = new IntervalSet()
      const parts = epochRanges
        .filter(at => !own || at.epoch.epoch === epoch)
        .map(at => (own && run === null ? { epoch: at.epoch, from, to } : at))
        .map(at => ({ epoch: at.epoch, from: Math.max(from, at.from), to: Math.min(to, at.to) }))
        .filter(part => part.from <= part.to)
      // Zone sequences restart with each epoch. A note over two epochs does not say to which epoch
      // they belong.
      const applied = parts.length > 1 ? { ...explanation, zones: [] } : explanation
      const spans = explanation.spans ?? [{ from, to }]
      for (const { epoch, ...part } of parts) {
        for (const span of spans) {
          const range = { from: Math.max(span.from, part.from), to: Math.min(span.to, part.to) }
          if (range.from > range.to) continue
          place(epoch, { ...range, explanation: applied })
          placed.addRange(range.from, range.to)
        }
      }
      // Another branch of the store assigned these numbers; they are judged there.
      for (const other of runsOf(known, store)) {
        placed.addRange(other.start?.first ?? other.seen.lowest ?? 1, other.reach)
      }
      const gaps = spans.flatMap(span => placed.gaps(span.from, span.to))
      for (const gap of gaps) unplaced.push(unplacedGap(explanation, gap))
    }
  }
  return { byEpoch, unplaced }
}

const runsOf = ({ epochs }: GatewayLedger, store: string) =>
  [...epochs.values()].filter(epoch => epoch.store === store)

function unplacedGap(explanation: Explanation, { from, to }: { from: number; to: number }) {
  const { epoch, reason, kind: fate, at: timeTo } = explanation
  return { epoch, zone: null, from, to, timeFrom: null, timeTo, reason, fate }
}

/**
 * The sequences of each epoch of an outbox for which the notes of a run are valid: from the epoch's
 * first sequence to the sequence before the next epoch.
 */
function epochRangesOf(known: GatewayLedger, store: string, run: number | null): EpochRange[] {
  return run === null ? unforkedRanges(known, store) : lineageRanges(known, run)
}

/** The ranges of a run and of the runs from which it descends. */
function lineageRanges({ epochs, runs }: GatewayLedger, run: number): EpochRange[] {
  let nextFirst = Number.POSITIVE_INFINITY
  return runs.lineage(run).flatMap((at, index) => {
    const epoch = epochs.get(at)
    if (!epoch) return []
    const from = epoch.start?.first ?? epoch.seen.lowest ?? 0
    // The end that the run after this one names is all that its branch knows of this run.
    const to = index === 0 ? nextFirst : Math.min(nextFirst - 1, epoch.reach)
    nextFirst = epoch.start?.first ?? nextFirst
    return [{ epoch, from, to }]
  })
}

/**
 * The ranges for notes that do not name their run. Such notes explain nothing of a run from which
 * two branches go on.
 */
function unforkedRanges({ epochs, runs }: GatewayLedger, store: string): EpochRange[] {
  const all = [...epochs.values()]
  const started = all
    .filter(epoch => epoch.start?.store === store)
    .sort(byStart)
    .map(epoch => ({ epoch, first: epoch.start!.first }))
  const known = started.map(({ epoch, first }, index) => {
    const next = started[index + 1]?.first ?? Number.POSITIVE_INFINITY
    return { epoch, from: first, to: Math.max(next - 1, epoch.reach) }
  })
  // For an epoch whose first note is lost, only the sequences from the lowest one seen are certain.
  const others = all
    .filter(epoch => !epoch.start && (epoch.store ?? store) === store)
    .map(epoch => ({ epoch, from: epoch.seen.lowest ?? 0, to: epoch.reach }))
  return [...known, ...others].filter(({ epoch }) => !runs.isForked(epoch.epoch))
}

/** Orders an outbox's epochs by their start; epochs whose first note is lost come first. */
function byStart({ start: a }: EpochLedger, { start: b }: EpochLedger): number {
  if (!a || !b) return Number(a !== null) - Number(b !== null)
  return a.note - b.note || a.at - b.at
}
