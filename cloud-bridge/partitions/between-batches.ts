/** A decision was taken back, because the moment for it did not come in time. */
export class BatchBoundaryTimeout extends Error {}

export type BatchBoundary = ReturnType<typeof createBatchBoundary>

/**
 * What an operator has decided of the live events, until their carrier does it between two batches.
 * `wake` ends its wait for new ones.
 */
export function createBatchBoundary(wake: () => void) {
  const waiting = new Set<() => void>()
  return {
    /** To be called between two batches. */
    perform(): void {
      for (const decide of [...waiting]) decide()
    },
    /**
     * Gives what `decide` gave or threw, which is called between two batches; rejects with
     * NotDecided after `withinMs`, and then it is not called any more.
     */
    ask: <T>(decide: () => T, withinMs: number): Promise<T> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(perform)
          reject(new BatchBoundaryTimeout(`no batch was settled for ${withinMs / 1000} s`))
        }, withinMs)
        const perform = () => {
          waiting.delete(perform)
          clearTimeout(timer)
          try {
            resolve(decide())
          } catch (error) {
            reject(error)
          }
        }
        waiting.add(perform)
        wake()
      }),
  }
}
