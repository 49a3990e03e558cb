import { pause } from '../../config/process/pause.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'

export type RetryOptions = {
  circuit: CircuitBreaker
  signal: AbortSignal
  /** Whether what failed may go later. */
  isRetryable(error: unknown): error is Error
  /** It failed, and is tried again after a wait. */
  onFailed(reason: string, waitMs: number): void
  /** It goes again. */
  onRecovered?(): void
}

/**
 * Does work again, waiting longer each time, until it goes. Rejects with what does not pass, and
 * with the reason of `signal` when that aborts before.
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { circuit, signal, isRetryable, onFailed, onRecovered } = options
  for (;;) {
    signal.throwIfAborted()
    circuit.probe()
    try {
      const done = await work()
      if (circuit.state !== 'closed') onRecovered?.()
      circuit.succeeded()
      return done
    } catch (error) {
      if (!isRetryable(error)) throw error
      const waitMs = circuit.failed()
      onFailed(error.message, waitMs)
      await pause(waitMs, signal)
    }
  }
}

/** The same, and null when asked to end before. */
export async function retryOrNull<T>(
  work: () => Promise<T>,
  options: RetryOptions,
): Promise<T | null> {
  try {
    return await retry(work, options)
  } catch (error) {
    if (error === options.signal.reason) return null
    throw error
  }
}
