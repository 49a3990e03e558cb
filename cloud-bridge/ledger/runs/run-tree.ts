/**
 * The runs of all stores. A run is one epoch of one store. A later run of the store names the run
 * that it follows, so the runs of a store are a chain, or a tree where a card was cloned or an old
 * image was restored.
 */
export function createRunTree() {
  const parents = new Map<number, number>()
  const children = new Map<number, Set<number>>()
  const startedMs = new Map<number, number>()
  return {
    /** Records when Kafka stored the first note of a run (ms since 1970). */
    start(run: number, appendTimeMs: number): void {
      startedMs.set(run, Math.min(startedMs.get(run) ?? appendTimeMs, appendTimeMs))
    },
    /** When Kafka stored the first note of a run; null when no such note is known. */
    startOf: (run: number): number | null => startedMs.get(run) ?? null,
    /** Records that a run follows the run `previous` of the same store. */
    link(run: number, previous: number): void {
      if (run === previous) return
      parents.set(run, previous)
      const known = children.get(previous) ?? new Set()
      children.set(previous, known.add(run))
    },
    /** The run, the run before, and so on, as far as known. */
    lineage(run: number): number[] {
      const line = new Set<number>()
      for (let at: number | undefined = run; at !== undefined; at = parents.get(at)) {
        // Only a damaged note can make a circle.
        if (line.has(at)) break
        line.add(at)
      }
      return [...line]
    },
    /** Whether the run or a run before has several runs after it. */
    isForked(run: number): boolean {
      return this.lineage(run).some(at => (children.get(at)?.size ?? 0) > 1)
    },
  }
}

export type RunTree = ReturnType<typeof createRunTree>
