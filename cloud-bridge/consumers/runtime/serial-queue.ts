export type SerialQueue = ReturnType<typeof createSerialQueue>

/** Runs tasks one at a time, in the order of the calls. A failed task does not stop the next. */
export function createSerialQueue() {
  let last: Promise<unknown> = Promise.resolve()
  return {
    /** Settles as the task does. */
    run<T>(task: () => Promise<T>): Promise<T> {
      const done = last.then(task)
      last = done.catch(() => {})
      return done
    },
  }
}

export type FailFastQueue = ReturnType<typeof createFailFastQueue>

/** Runs tasks one at a time, in the order of the calls, until the first task fails. */
export function createFailFastQueue() {
  const queue = createSerialQueue()
  let failure: { error: unknown } | null = null
  const { promise: failed, reject } = Promise.withResolvers<never>()
  // Nobody has to listen to `failed`: the next call rejects with the failure too.
  failed.catch(() => {})
  return {
    get hasFailed() {
      return failure !== null
    },
    /** Rejects with the first failure. */
    failed,
    /** Settles as the task does; after a failure rejects with that failure and runs nothing. */
    run: (task: () => Promise<void>): Promise<void> =>
      queue.run(async () => {
        if (failure) throw failure.error
        try {
          await task()
        } catch (error) {
          failure = { error }
          reject(error)
          throw error
        }
      }),
    /** Runs a last task, even after a failure, when all tasks before have settled. */
    runLast: (task: () => Promise<void>): Promise<void> => queue.run(task),
  }
}
