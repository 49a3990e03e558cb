import { type Backoff, backoffMs } from './backoff.ts'

/** `closed`: attempts run; `open`: no attempt runs for a while; `half-open`: one attempt runs. */
export type CircuitState = 'closed' | 'open' | 'half-open'

export type CircuitBreakerOptions = Backoff & {
  /** The back-off starts over after this time without a failure, in ms. */
  stableMs: number
}

export type CircuitBreaker = ReturnType<typeof createCircuitBreaker>

/**
 * A circuit breaker (Nygard, Release It!, 2007) in front of a dependency that may be unavailable.
 * The failed work is its own probe, because nothing else may be sent before it. The waits grow
 * until there was no failure for `stableMs`: a dependency that accepts one batch in three is not
 * stable.
 */
export function createCircuitBreaker(
  options: CircuitBreakerOptions,
  nowMs = () => performance.now(),
) {
  let state: CircuitState = 'closed'
  let failures = 0
  let failedAtMs = Number.NEGATIVE_INFINITY
  return {
    get state(): CircuitState {
      return state
    },
    /** The number of failures that determines the present back-off. */
    get failures(): number {
      return failures
    },
    /** Records a failure; returns how long to wait before the next attempt, in ms. */
    failed(): number {
      if (nowMs() - failedAtMs >= options.stableMs && state === 'closed') failures = 0
      failedAtMs = nowMs()
      state = 'open'
      return backoffMs(failures++, options)
    },
    /** Records that an attempt starts. */
    probe(): void {
      if (state === 'open') state = 'half-open'
    },
    succeeded(): void {
      state = 'closed'
      if (nowMs() - failedAtMs >= options.stableMs) failures = 0
    },
  }
}
