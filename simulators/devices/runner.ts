import type { Waiter } from './waiter.ts'

export interface RunnerOptions<Message> {
  readonly ratePerSecond: number
  readonly pause: Waiter
  readonly disposing: AbortSignal
  next(n: number): Message | null | PromiseLike<Message | null>
  isFull(message: Message): boolean
  put(n: number, message: Message): void
}

export interface Runner {
  /** One run at a time; the next one goes on with the next number. */
  run(until: AbortSignal | number): Promise<void>
  /** How many messages were due so far, over all runs. */
  scheduled(): number
}

/**
 * Takes messages from a source and puts them on the wire when they are due, in bursts when late.
 * A run of a duration puts exactly what is due within it, as long as there is room; what is due
 * and found no room until its end counts as scheduled, and is not put.
 */
export function createRunner<Message extends { readonly dueMs?: number }>(
  options: RunnerOptions<Message>,
): Runner {
  const { pause, ratePerSecond, disposing } = options
  let drawn = 0
  let held: Message | null | undefined
  let scheduledBefore = 0
  let scheduledNow: () => number = () => 0
  let sourceMs = 0
  let running = false

  async function loop(stop: AbortSignal, lastsMs: number) {
    const first = drawn
    const sourceStartMs = sourceMs
    const startMs = performance.now()
    const elapsedMs = () => Math.min(performance.now() - startMs, lastsMs)
    scheduledNow = () => {
      const due = held === null ? 0 : countScheduledBefore(elapsedMs(), ratePerSecond)
      return Number.isFinite(due) ? Math.max(due, drawn - first) : drawn - first
    }
    const untilDue = async (dueMs: number) => {
      const wakeMs = Math.min(dueMs, lastsMs)
      while (!stop.aborted && elapsedMs() < wakeMs)
        await pause.wait(wakeMs - elapsedMs(), 'no change')
      return !stop.aborted && dueMs < lastsMs
    }
    const untilRoom = async (message: Message) => {
      while (options.isFull(message)) {
        if (stop.aborted || elapsedMs() >= lastsMs) return false
        await pause.wait(lastsMs - elapsedMs(), 'or change')
      }
      return true
    }
    while (await untilDue(scheduledAtMs(drawn - first, ratePerSecond))) {
      if (held === undefined) held = await options.next(drawn)
      if (held === null) break
      if (!(await untilDue((held.dueMs ?? sourceMs) - sourceStartMs))) break
      if (!(await untilRoom(held))) break
      sourceMs = held.dueMs ?? sourceMs
      options.put(drawn, held)
      held = undefined
      drawn++
    }
  }

  return {
    scheduled: () => scheduledBefore + scheduledNow(),
    async run(until) {
      if (running) throw new Error('the devices are already running: wait for that run to end')
      running = true
      const timed = typeof until === 'number'
      const stop = timed ? disposing : AbortSignal.any([until, disposing])
      stop.addEventListener('abort', pause.wake)
      try {
        await loop(stop, timed ? until : Number.POSITIVE_INFINITY)
      } finally {
        stop.removeEventListener('abort', pause.wake)
        const due = scheduledNow()
        scheduledBefore += due
        scheduledNow = () => 0
        running = false
      }
    },
  }
}

/** When the n-th message of a run is due, ms after its start; everything at once at Infinity. */
export function scheduledAtMs(n: number, ratePerSecond: number): number {
  return ratePerSecond === Number.POSITIVE_INFINITY ? 0 : (n * 1000) / ratePerSecond
}

/** How many messages are due before a moment of the run; Infinity when there is no rate. */
export function countScheduledBefore(elapsedMs: number, ratePerSecond: number): number {
  if (ratePerSecond === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  return Math.ceil((Math.max(0, elapsedMs) * ratePerSecond) / 1000)
}
