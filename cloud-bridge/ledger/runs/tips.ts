import type { Claim } from '../claims.ts'
import { type CompletenessState, claimsOf, completenessOf } from '../completeness.ts'
import type { EpochLedger } from '../epoch.ts'
import type { GatewayLedger } from '../ledger.ts'
import { isRetired } from './retirement.ts'

/**
 * A run at the end of a branch of runs, and its state. `ended`: the store goes on under another
 * gateway's name.
 */
export type Tip = {
  run: EpochLedger
  state: CompletenessState | 'ended'
  /** The newest proven claim; null: nothing is proven. */
  proven: Claim | null
  /** The last sequence that later runs know of this run, when Kafka knows more. */
  wentBackTo: number | null
}

/**
 * Finds the runs that no later run of the same store ends. Such a run must be heard of, because
 * nothing else tells whether it stored more. A run also counts when a later run names an end below
 * a number that Kafka knows: then an old image was restored, or a cloned card goes on in the run.
 */
export function findTips(known: GatewayLedger, nowMs: number, limitMs: number): Tip[] {
  return [...known.epochs.values()].flatMap(run => {
    const { proven, ...claims } = claimsOf(run, known)
    const tip = (state: Tip['state'], wentBackTo: number | null = null) => [
      { run, state, proven, wentBackTo },
    ]
    const fresh = () => completenessOf(run, { proven, ...claims }, nowMs, limitMs)
    const ends = [...run.ends.values()]
    const last = Math.max(...ends.map(({ lastSequence }) => lastSequence))
    if (ends.length > 0 && last >= run.reach) {
      const elsewhere = ends.filter(end => !known.epochs.has(end.run))
      if (elsewhere.length === 0) return []
      const isContinued = elsewhere.every(end => known.runs.startOf(end.run) !== null)
      return tip(isContinued ? (claims.open.length > 0 ? 'unproven' : 'ended') : fresh())
    }
    if (isRetired(run, known)) return tip('retired')
    if (ends.length === 0) return tip(fresh())
    // A cloned card goes on in the run after the other card started.
    const endMs = Math.max(...ends.map(({ appendTimeMs }) => appendTimeMs))
    const isHeardSince = (run.times.newestNoteMs ?? Number.NEGATIVE_INFINITY) > endMs
    return isHeardSince ? tip(fresh()) : tip('unproven', last)
  })
}

/** Combines the tips of a gateway. A retired or ended run needs no proof beside other runs. */
export function stateOf(tips: readonly Tip[]): CompletenessState {
  const states = new Set(tips.map(({ state }) => state))
  if (states.has('unproven') || (states.has('silent') && states.has('complete'))) return 'unproven'
  if (states.has('silent') || states.size === 0) return 'silent'
  if (states.has('complete')) return 'complete'
  return states.has('retired') ? 'retired' : 'complete'
}

/**
 * The claim up to which all runs are proven: of their newest proven claims, the one with the oldest
 * moment. A run without a proven claim is left out, because its state says that it is not proven.
 */
export function provenByAll(tips: readonly Tip[]): Claim | null {
  const isLive = ({ state }: Tip) => state !== 'ended' && state !== 'retired'
  const counted = tips.some(isLive) ? tips.filter(isLive) : tips
  const claims = counted.flatMap(({ proven }) => proven ?? [])
  if (claims.length === 0) return null
  return claims.reduce((a, b) => (b.at < a.at ? b : a))
}
