/** Settles as `work` does, or rejects with the signal's reason as soon as `signal` aborts. */
export async function rejectOnAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Settles as `work` does, or resolves with null as soon as `signal` aborts. */
export async function nullOnAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
  try {
    return await rejectOnAbort(work, signal)
  } catch (error) {
    if (signal.aborted) return null
    throw error
  }
}
