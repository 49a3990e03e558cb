export type SerialQueue = ReturnType<typeof createSerialQueue>

/** Does pieces of work one at a time, in the order in which they came. */
export function createSerialQueue() {
  let fault: { error: unknown } | null = null
  const { promise: failed, reject: fail } = Promise.withResolvers<never>()
  // Who does not look at it is told by the next piece of work.
  failed.catch(() => {})
  let last: Promise<unknown> = Promise.resolve()
  const queue = (work: () => Promise<void>): Promise<void> => {
    const done = last.then(work)
    last = done.catch(() => {})
    return done
  }
  return {
    get hasFailed() {
      return fault !== null
    },
    /** Rejects as the first did that failed. */
    failed,
    /** Rejects as the work does, and from then on as the first did that failed. */
    run: (work: () => Promise<void>): Promise<void> =>
      queue(async () => {
        if (fault) throw fault.error
        try {
          await work()
        } catch (error) {
          fault = { error }
          fail(error)
          throw error
        }
      }),
    /** The last piece of work, whether one before it failed or not. */
    runLast: queue,
  }
}
