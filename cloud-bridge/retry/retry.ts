import { pause } from '../../config/process/pause.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'

export type RetryOptions = {
  circuit: CircuitBreaker
  signal: AbortSignal
  /** Whether a later attempt may succeed. */
  isRetryable(error: unknown): error is Error
  /** An attempt failed; the next attempt starts after `waitMs`. */
  onFailed(reason: string, waitMs: number): void
  /** An attempt succeeded after failures. */
  onRecovered?(): void
}

/**
 * Retries work with a growing back-off until an attempt succeeds. Rejects with the first error that
 * is not retryable, and with the reason of `signal` when `signal` aborts before.
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { circuit, signal, isRetryable, onFailed, onRecovered } = options
  for (;;) {
    signal.throwIfAborted()
    circuit.probe()
    try {
      const result = await work()
      if (circuit.state !== 'closed') onRecovered?.()
      circuit.succeeded()
      return result
    } catch (error) {
      if (!isRetryable(error)) throw error
      const waitMs = circuit.failed()
      onFailed(error.message, waitMs)
      await pause(waitMs, signal)
    }
  }
}

/** Like `retry`, but resolves with null when `signal` aborts before an attempt succeeds. */
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
