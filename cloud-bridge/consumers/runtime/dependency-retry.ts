import { createCircuitBreaker } from '../../retry/circuit-breaker.ts'
import { retry } from '../../retry/retry.ts'
import { StateUnavailable } from '../state/state.ts'
import { RegistryUnavailable } from './record-decoder.ts'

/** Repeats work with growing back-off while the state or the schema registry is unavailable. */
export type DependencyRetry = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>

const BACKOFF = { firstMs: 100, maxMs: 10_000, stableMs: 30_000 }

/**
 * The circuit breaker in front of a consumer's dependencies other than Kafka: its state and the
 * schema registry. The group membership continues while such a dependency is unavailable. Every
 * other error rejects. Only for work that can be repeated: work that can fail half-way restarts
 * with its partition instead (stateful-work.ts). `onUnavailable` gets the reason of each failed
 * attempt, and null when an attempt succeeds again.
 */
export function createDependencyRetry(
  onUnavailable: (reason: string | null) => void,
): DependencyRetry {
  const options = {
    circuit: createCircuitBreaker(BACKOFF),
    isRetryable: (error: unknown): error is Error =>
      error instanceof StateUnavailable || error instanceof RegistryUnavailable,
    onFailed: onUnavailable,
    onRecovered: () => onUnavailable(null),
  }
  return (work, signal) => retry(work, { ...options, signal })
}
