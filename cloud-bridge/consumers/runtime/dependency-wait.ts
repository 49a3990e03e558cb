import { startCircuit } from '../../retry/circuit-breaker.ts'
import { again } from '../../retry/retry.ts'
import { StateAway } from '../state/state.ts'
import { RegistryAway } from './record-decoder.ts'

/** Does work until it goes, waiting longer each time, while what it needs is away. */
export type Patience = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>

const BACKOFF = { firstMs: 100, maxMs: 10_000, stableMs: 30_000 }

/**
 * The circuit breaker in front of what a consumer needs besides Kafka: its state and the registry.
 * While one is away what was asked is asked again, and the membership goes on; anything else passes
 * through. For work that may be done in part it is not the way: that begins anew (stateful.ts).
 */
export function startPatience(onAway: (reason: string | null) => void): Patience {
  const options = {
    circuit: startCircuit(BACKOFF),
    passes: (error: unknown) => error instanceof StateAway || error instanceof RegistryAway,
    onFailed: onAway,
    onMended: () => onAway(null),
  }
  return (work, signal) => again(work, { ...options, signal })
}
