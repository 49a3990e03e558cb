import { retryOrNull } from '../retry/retry.ts'
import type { DeliveryOptions } from './forwarder.ts'

/** Asks again until there is an answer; gives null only when asked to end. */
export function retryUntilAnswered<T>(
  ask: () => Promise<T>,
  topic: string,
  { circuit, signal, onUnavailable }: Omit<DeliveryOptions, 'sink'>,
): Promise<T | null> {
  return retryOrNull(ask, {
    ...{ circuit, signal, isRetryable: error => error instanceof Error },
    onFailed: (reason, waitMs) => onUnavailable(`${topic}: ${reason}`, waitMs),
  })
}
