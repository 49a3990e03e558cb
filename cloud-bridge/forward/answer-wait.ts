import { retryOrNull } from '../retry/retry.ts'
import type { DeliveryOptions } from './forwarder.ts'

/**
 * Calls `ask`, which sends Kafka a request about a topic, until Kafka answers. Resolves with null
 * only when `signal` aborts before the answer. Reports to `onUnavailable` why Kafka does not
 * answer.
 */
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
