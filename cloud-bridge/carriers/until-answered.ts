import { setTimeout as sleep } from 'node:timers/promises'
import type { DeliveryOptions } from '../forwarder.ts'

/** Asks again until there is an answer; gives null only when asked to end. */
export async function untilAnswered<T>(
  ask: () => Promise<T>,
  topic: string,
  { circuit, signal, onUnavailable }: Omit<DeliveryOptions, 'sink'>,
): Promise<T | null> {
  while (!signal.aborted) {
    circuit.probe()
    try {
      const answer = await ask()
      circuit.succeeded()
      return answer
    } catch (error) {
      const waitMs = circuit.failed()
      onUnavailable(`${topic}: ${(error as Error).message}`, waitMs)
      await sleep(waitMs, undefined, { signal }).catch(() => {})
    }
  }
  return null
}
