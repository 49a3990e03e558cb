import type { EpochLedger } from '../epoch.ts'
import type { LedgerNote } from '../notes/notes.ts'
import type { RunTree } from './run-tree.ts'

/** An operator's declaration that nothing more comes from a store. Times are ms since 1970. */
export type Retirement = { store: string; reason: string; at: number; appendTimeMs: number }

type RetiredNote = Extract<LedgerNote, { kind: 'retired' }>

/** The newest retirement of each store, and how far each run of the store had come by then. */
export function createRetirements() {
  const byStore = new Map<string, Retirement>()
  const reaches = new Map<EpochLedger, number>()
  const of = ({ store }: Pick<EpochLedger, 'store'>) =>
    store === null ? undefined : byStore.get(store)
  const raise = (run: EpochLedger, sequence: number) =>
    void reaches.set(run, Math.max(reaches.get(run) ?? 0, sequence))

  return {
    /** Adds a retirement; `runs` are the runs that are known so far. */
    add(note: RetiredNote, runs: Iterable<EpochLedger>): void {
      const { reason, at, appendTimeMs } = note
      const isNewest = (store: string) =>
        (byStore.get(store)?.appendTimeMs ?? Number.NEGATIVE_INFINITY) < appendTimeMs
      const stores = new Set(note.stores.filter(isNewest))
      for (const store of stores) byStore.set(store, { store, reason, at, appendTimeMs })
      for (const run of runs) if (stores.has(run.store ?? '')) raise(run, run.reach)
    },
    /** The newest retirement of a run's store. */
    of,
    /** Records a sequence of an event or a claim; Kafka stored the record at `appendTimeMs`. */
    reach(run: EpochLedger, sequence: number, appendTimeMs: number): void {
      if (appendTimeMs <= (of(run)?.appendTimeMs ?? Number.NEGATIVE_INFINITY)) raise(run, sequence)
    },
    /** The last sequence of a run that its retirement covers; 0 without a retirement. */
    reachOf: (run: EpochLedger): number => reaches.get(run) ?? 0,
  }
}

export type Retirements = ReturnType<typeof createRetirements>

type Known = {
  epochs: ReadonlyMap<number, EpochLedger>
  runs: RunTree
  retirements: Retirements
}

/**
 * Whether the run's store was retired, and Kafka has heard of the run and of the runs from which it
 * descends only before. The other branch of a copied card does not count.
 */
export function isRetired(run: EpochLedger, { epochs, runs, retirements }: Known): boolean {
  const retirement = retirements.of(run)
  if (!retirement) return false
  return runs
    .lineage(run.epoch)
    .every(at => (epochs.get(at)?.times.heardMs ?? 0) <= retirement.appendTimeMs)
}
