import { type Backoff, backoffMs } from './backoff.ts'

/** `closed`: batches go; `open`: none is tried for a while; `half-open`: one is tried. */
export type CircuitState = 'closed' | 'open' | 'half-open'

export type CircuitBreakerOptions = Backoff & {
  /** The back-off starts over after so long without a failure, in ms. */
  stableMs: number
}

export type CircuitBreaker = ReturnType<typeof createCircuitBreaker>

/**
 * A circuit breaker (Nygard, Release It!, 2007) in front of what may be unavailable. What fails is
 * itself the probe, because nothing else may be sent before it. The waits go on getting longer
 * until all went well for a while: what takes one batch in three is not well.
 */
export function createCircuitBreaker(
  options: CircuitBreakerOptions,
  nowMs = () => performance.now(),
) {
  let state: CircuitState = 'closed'
  let failures = 0
  let failedMs = Number.NEGATIVE_INFINITY
  return {
    get state(): CircuitState {
      return state
    },
    /** How many failures the present back-off is for. */
    get failures(): number {
      return failures
    },
    /** It failed: gives how long to leave it alone, in ms. */
    failed(): number {
      if (nowMs() - failedMs >= options.stableMs && state === 'closed') failures = 0
      failedMs = nowMs()
      state = 'open'
      return backoffMs(failures++, options)
    },
    /** It is tried again now. */
    probe(): void {
      if (state === 'open') state = 'half-open'
    },
    succeeded(): void {
      state = 'closed'
      if (nowMs() - failedMs >= options.stableMs) failures = 0
    },
  }
}
