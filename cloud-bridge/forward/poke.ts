import { pause } from '../../config/process/pause.ts'

export type Poke = ReturnType<typeof createPoke>

/**
 * Wakes a polling loop. The loop calls `wait` between two polls. `wakeAndWait` resolves when a poll
 * that began after the call has ended, or after `timeoutMs`.
 */
export function createPoke() {
  let wake = new AbortController()
  const requested: (() => void)[] = []
  let running: (() => void)[] = []
  return {
    async wait(ms: number, signal: AbortSignal): Promise<void> {
      for (const resolve of running.splice(0)) resolve()
      const hasRequests = requested.length > 0
      running = requested.splice(0)
      if (hasRequests) return
      await pause(ms, AbortSignal.any([signal, wake.signal]))
      running = requested.splice(0)
      wake = new AbortController()
    },
    async wakeAndWait(timeoutMs: number): Promise<void> {
      const polled = new Promise<void>(resolve => requested.push(resolve))
      wake.abort()
      await Promise.race([polled, unreferencedPause(timeoutMs)])
    },
  }
}

/** A pause that does not keep the process alive. */
const unreferencedPause = (ms: number) =>
  new Promise<void>(resolve => setTimeout(resolve, ms).unref())
