import type { Waiter } from './waiter.ts'

export type RunnerOptions<Message> = {
  ratePerSecond: number
  waiter: Waiter
  /** Ends every run. */
  disposing: AbortSignal
  /** Message n, or null at the end of the source. */
  next(n: number): Message | null | PromiseLike<Message | null>
  /** Whether the message must wait, because its connection has no room. */
  isFull(message: Message): boolean
  put(n: number, message: Message): void
}

export type Runner = {
  /**
   * Publishes for a number of ms or until a signal. Only one run at a time: the next run continues
   * with the next message number.
   */
  run(until: AbortSignal | number): Promise<void>
  /** The number of messages scheduled so far, over all runs. */
  scheduled(): number
}

/**
 * Reads messages from a source and publishes each message at its scheduled time; late messages are
 * published at once, in a burst. A run with a duration publishes exactly the messages that are
 * scheduled within the duration, if there is room for them. A message that has no room until the
 * end of the run counts as scheduled and is not sent.
 */
export function createRunner<Message extends { readonly notBeforeMs?: number }>(
  options: RunnerOptions<Message>,
): Runner {
  const { waiter, ratePerSecond, disposing } = options
  let nextNumber = 0
  /**
   * The message that was read and is not sent yet: undefined for none, null at the end of the
   * source.
   */
  let pending: Message | null | undefined
  let scheduledInEarlierRuns = 0
  let scheduledInThisRun: () => number = () => 0
  let sourceMs = 0
  let running = false

  async function loop(stop: AbortSignal, durationMs: number) {
    const first = nextNumber
    const sourceStartMs = sourceMs
    const startMs = performance.now()
    const elapsedMs = () => Math.min(performance.now() - startMs, durationMs)
    scheduledInThisRun = () => {
      const sent = nextNumber - first
      const scheduled = pending === null ? 0 : countScheduledBefore(elapsedMs(), ratePerSecond)
      return Number.isFinite(scheduled) ? Math.max(scheduled, sent) : sent
    }
    const waitUntil = async (atMs: number) => {
      const wakeMs = Math.min(atMs, durationMs)
      while (!stop.aborted && elapsedMs() < wakeMs)
        await waiter.wait(wakeMs - elapsedMs(), 'ignore-change')
      return !stop.aborted && atMs < durationMs
    }
    const waitForRoom = async (message: Message) => {
      while (options.isFull(message)) {
        if (stop.aborted || elapsedMs() >= durationMs) return false
        await waiter.wait(durationMs - elapsedMs(), 'wake-on-change')
      }
      return true
    }
    while (await waitUntil(scheduledAtMs(nextNumber - first, ratePerSecond))) {
      if (pending === undefined) pending = await options.next(nextNumber)
      if (pending === null) break
      if (!(await waitUntil((pending.notBeforeMs ?? sourceMs) - sourceStartMs))) break
      if (!(await waitForRoom(pending))) break
      sourceMs = pending.notBeforeMs ?? sourceMs
      options.put(nextNumber, pending)
      pending = undefined
      nextNumber++
    }
  }

  return {
    scheduled: () => scheduledInEarlierRuns + scheduledInThisRun(),
    async run(until) {
      if (running) throw new Error('the devices are already running: wait for that run to end')
      running = true
      const isTimed = typeof until === 'number'
      const stop = isTimed ? disposing : AbortSignal.any([until, disposing])
      stop.addEventListener('abort', waiter.wake)
      try {
        await loop(stop, isTimed ? until : Number.POSITIVE_INFINITY)
      } finally {
        stop.removeEventListener('abort', waiter.wake)
        scheduledInEarlierRuns += scheduledInThisRun()
        scheduledInThisRun = () => 0
        running = false
      }
    },
  }
}

/**
 * When message n of a run is scheduled, in ms after the start of the run; always 0 at the rate
 * Infinity.
 */
export function scheduledAtMs(n: number, ratePerSecond: number): number {
  return ratePerSecond === Number.POSITIVE_INFINITY ? 0 : (n * 1000) / ratePerSecond
}

/** How many messages are scheduled before a moment of the run; Infinity at the rate Infinity. */
export function countScheduledBefore(elapsedMs: number, ratePerSecond: number): number {
  if (ratePerSecond === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  return Math.ceil((Math.max(0, elapsedMs) * ratePerSecond) / 1000)
}
