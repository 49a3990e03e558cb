import { setTimeout as sleep } from 'node:timers/promises'
import { pause } from '../../config/process/pause.ts'

export type Poke = ReturnType<typeof createPoke>

/**
 * Has whoever looks now and then look at once. `rest` is between two looks; `look` resolves when
 * one that began after it was asked for is over, or after `timeoutMs`.
 */
export function createPoke() {
  let wake = new AbortController()
  const asked: (() => void)[] = []
  let heard: (() => void)[] = []
  return {
    async rest(ms: number, signal: AbortSignal): Promise<void> {
      for (const done of heard.splice(0)) done()
      const isAsked = asked.length > 0
      heard = asked.splice(0)
      if (isAsked) return
      await pause(ms, AbortSignal.any([signal, wake.signal]))
      heard = asked.splice(0)
      wake = new AbortController()
    },
    async look(timeoutMs: number): Promise<void> {
      const over = new Promise<void>(resolve => asked.push(resolve))
      wake.abort()
      await Promise.race([over, sleep(timeoutMs, undefined, { ref: false })])
    },
  }
}
