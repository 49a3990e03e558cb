import { setTimeout as sleep } from 'node:timers/promises'
import type { Circuit } from './circuit-breaker.ts'

export type AgainOptions = {
  circuit: Circuit
  signal: AbortSignal
  /** Whether what failed may go later. */
  passes(error: unknown): error is Error
  /** It failed, and is tried again after a wait. */
  onFailed(reason: string, waitMs: number): void
  /** It goes again. */
  onMended?(): void
}

/**
 * Does work again, waiting longer each time, until it goes. Rejects with what does not pass, and
 * with the reason of `signal` when that aborts before.
 */
export async function again<T>(work: () => Promise<T>, options: AgainOptions): Promise<T> {
  const { circuit, signal, passes, onFailed, onMended } = options
  for (;;) {
    signal.throwIfAborted()
    circuit.probe()
    try {
      const done = await work()
      if (circuit.state !== 'closed') onMended?.()
      circuit.succeeded()
      return done
    } catch (error) {
      if (!passes(error)) throw error
      const waitMs = circuit.failed()
      onFailed(error.message, waitMs)
      await sleep(waitMs, undefined, { signal }).catch(() => {})
    }
  }
}

/** The same, and null when asked to end before. */
export async function againOrNull<T>(
  work: () => Promise<T>,
  options: AgainOptions,
): Promise<T | null> {
  try {
    return await again(work, options)
  } catch (error) {
    if (error === options.signal.reason) return null
    throw error
  }
}
