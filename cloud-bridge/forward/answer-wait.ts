import { retryOrNull } from '../retry/retry.ts'
import type { DeliveryOptions } from './forwarder.ts'

/** Retries a question about a topic until Kafka answers; null only when `signal` aborts before. */
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
