import { createCircuitBreaker } from '../../retry/circuit-breaker.ts'
import { retry } from '../../retry/retry.ts'
import { StateUnavailable } from '../state/state.ts'
import { RegistryUnavailable } from './record-decoder.ts'

/** Does work until it goes, waiting longer each time, while what it needs is away. */
export type DependencyWait = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>

const BACKOFF = { firstMs: 100, maxMs: 10_000, stableMs: 30_000 }

/**
 * The circuit breaker in front of what a consumer needs besides Kafka: its state and the registry.
 * While one is away what was asked is asked again, and the membership goes on; anything else passes
 * through. For work that may be done in part it is not the way: that begins anew (stateful.ts).
 */
export function createDependencyWait(onAway: (reason: string | null) => void): DependencyWait {
  const options = {
    circuit: createCircuitBreaker(BACKOFF),
    isRetryable: (error: unknown) =>
      error instanceof StateUnavailable || error instanceof RegistryUnavailable,
    onFailed: onAway,
    onRecovered: () => onAway(null),
  }
  return (work, signal) => retry(work, { ...options, signal })
}
