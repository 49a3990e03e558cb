import type { CompletenessState } from '../completeness.ts'
import { type EpochLedger, oldestIn } from '../epoch.ts'
import type { GatewayLedger } from '../ledger.ts'
import { stateOf, type Tip } from './tips.ts'

/**
 * A store under one gateway's name, as `--json` prints it. `store` is null when the ledger topic
 * has no note that names the store of these runs. `heardFrom` and `heardTo` are the append times of
 * the first and the last record (ms since 1970). `runs` are the runs that no later run ends.
 */
export type StoreAssessment = {
  store: string | null
  state: CompletenessState | 'ended'
  heardFrom: number | null
  heardTo: number | null
  runs: number[]
}

/** Lists the stores of a gateway, in the order in which Kafka heard of them. */
export function describeStores(known: GatewayLedger, tips: readonly Tip[]): StoreAssessment[] {
  const byStore = Map.groupBy(known.epochs.values(), ({ store }) => store)
  return [...byStore]
    .map(([store, runs]) => {
      const own = tips.filter(({ run }) => run.store === store)
      const isEnded = own.length > 0 && own.every(({ state }) => state === 'ended')
      return {
        store,
        state: isEnded ? ('ended' as const) : stateOf(own),
        heardFrom: ofAll(runs.map(firstHeardMs), Math.min),
        heardTo: ofAll(
          runs.map(({ times }) => times.heardMs),
          Math.max,
        ),
        runs: own.map(({ run }) => run.epoch),
      }
    })
    .sort((a, b) => (a.heardFrom ?? 0) - (b.heardFrom ?? 0))
}

function firstHeardMs(run: EpochLedger): number | null {
  const times = [run.start?.appendTimeMs ?? null, oldestIn(run)?.appendTimeMs ?? null]
  return ofAll(times, Math.min)
}

function ofAll(times: (number | null)[], choose: (...times: number[]) => number): number | null {
  const known = times.filter(ms => ms !== null)
  return known.length > 0 ? choose(...known) : null
}
