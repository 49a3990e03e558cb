/** A change was withdrawn, because no batch boundary was reached in time. */
export class BatchBoundaryTimeout extends Error {}

export type BatchBoundary = ReturnType<typeof createBatchBoundary>

/**
 * Runs an operator's changes to the live range between two batches of the live delivery. `wake`
 * ends the delivery's wait for new events.
 */
export function createBatchBoundary(wake: () => void) {
  const waiting = new Set<() => void>()
  return {
    /** Runs the waiting changes; must be called between two batches. */
    reached(): void {
      for (const runChange of [...waiting]) runChange()
    },
    /**
     * Runs `change` between two batches. Resolves with its result, or rejects with its error.
     * Rejects with BatchBoundaryTimeout after `withinMs`; then `change` never runs.
     */
    run: <T>(change: () => T, withinMs: number): Promise<T> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(runChange)
          reject(new BatchBoundaryTimeout(`no batch was completed for ${withinMs / 1000} s`))
        }, withinMs)
        const runChange = () => {
          waiting.delete(runChange)
          clearTimeout(timer)
          try {
            resolve(change())
          } catch (error) {
            reject(error)
          }
        }
        waiting.add(runChange)
        wake()
      }),
  }
}
