import type { Claim } from '../claims.ts'
import type { EpochLedger } from '../epoch.ts'
import { sizeOf } from '../gap-segments.ts'
import type { ReportedGap } from '../gaps.ts'
import type { GatewayLedger } from '../ledger.ts'
import type { RetiredNotes } from '../notes/lost-notes.ts'
import { lacksStart } from './problems.ts'
import { isRetired } from './retirement.ts'
import type { Tip } from './tips.ts'

/** A gap that the retirement of its store settles. */
export type RetiredGap = Omit<ReportedGap, 'gateway'> & { run: EpochLedger }

/**
 * What a retired store left open, as `--json` prints it: `numbers` that are known to be missing,
 * `notes` that are lost, and an unknown number of readings after the last number of the `runs`. The
 * store is proven up to `from` (null: nothing is proven) and was retired at `to`; both are ms since
 * 1970. `isCovered`: Kafka keeps readings of that time, so the hole makes the verdict incomplete.
 */
export type RetiredHole = {
  store: string
  reason: string
  from: number | null
  to: number
  numbers: number
  notes: number
  runs: { run: number; lastSequence: number }[]
  isCovered: boolean
}

/** Combines all that is open in the past of each retired store into one hole. */
export function retiredHolesOf(
  known: GatewayLedger,
  tips: readonly Tip[],
  gaps: readonly RetiredGap[],
  notes: RetiredNotes,
  options: Parameters<typeof lacksStart>[2],
): RetiredHole[] {
  const open = tips.filter(({ run, state }) => state === 'retired' && isRetired(run, known))
  // The numbers of a run without a start, and of the runs before, are unknown.
  const withoutStart = [...known.epochs.values()].filter(
    run => isRetired(run, known) && lacksStart(run, known, options),
  )
  const openStores = [...[...open, ...gaps].map(({ run }) => run), ...withoutStart].map(
    ({ store }) => store,
  )
  const stores = new Set([...openStores, ...notes.keys()])
  const starts = [...(options.logStarts?.values() ?? [])]
  return [...stores].flatMap(store => {
    const ofStore = ({ run }: { run: EpochLedger }) => run.store === store
    const [ownTips, ownGaps] = [open.filter(ofStore), gaps.filter(ofStore)]
    const retirement = known.retirements.of({ store })
    if (!retirement) return []
    const proven = ownTips.map(tip => tip.proven).reduce<Claim | null | undefined>(older, undefined)
    const isExpired = starts.length > 0 && starts.every(ms => ms > retirement.appendTimeMs)
    return {
      store: retirement.store,
      reason: retirement.reason,
      from: proven?.at ?? null,
      to: retirement.at,
      numbers: ownGaps.reduce((sum, gap) => sum + sizeOf(gap), 0),
      notes: notes.get(retirement.store) ?? 0,
      runs: ownTips.map(({ run }) => ({ run: run.epoch, lastSequence: run.reach })),
      isCovered: !isExpired,
    }
  })
}

const older = (a: Claim | null | undefined, b: Claim | null) =>
  a === undefined || (a && b && b.at < a.at) ? b : a
