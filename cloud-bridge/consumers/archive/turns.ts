export type Turns = ReturnType<typeof startTurns>

/** Does pieces of work one at a time, in the order in which they came; `over` says that it ends. */
export function startTurns(over: AbortSignal) {
  let fault: unknown = null
  let last: Promise<unknown> = Promise.resolve()
  const take = (work: () => Promise<void>): Promise<void> => {
    const done = last.then(() => {
      if (fault !== null) throw fault
      return work()
    })
    last = done.catch(() => {})
    return done
  }
  return {
    /** Rejects as the work does, or as one did in the background before. */
    take,
    /** Does work that nobody waits for: when it fails, all that comes after it does. */
    takeInBackground(work: () => Promise<void>): void {
      const failing = () =>
        work().catch(error => {
          if (!over.aborted) fault = error
        })
      take(failing).catch(() => {})
    },
  }
}
