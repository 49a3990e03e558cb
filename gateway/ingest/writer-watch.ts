const CHECK_EVERY_MS = 500

export type WriterWatchOptions = {
  /** After how many ms without an answer the writer thread counts as silent. */
  alarmAfterMs: number
  /** After how many ms without an answer `onEnd` is called. */
  endAfterMs: number
  /** Called once for each request that stays without an answer for `alarmAfterMs`. */
  onSilent(silentMs: number): void
  /** Called when a request that was without an answer for so long is answered after all. */
  onAnswered(silentMs: number): void
  /** Called once when a request is without an answer for `endAfterMs`. */
  onEnd(silentMs: number): void
}

export type WriterWatch = ReturnType<typeof startWriterWatch>

/**
 * Watches whether the writer thread answers. The watch counts the time in steps of its own timer:
 * when the whole process stands still (SIGSTOP, a paused virtual machine), that time does not
 * count, because the writer thread stood still, too. No wall clock is read. Runs until `stop`.
 */
export function startWriterWatch(options: WriterWatchOptions) {
  const { alarmAfterMs, endAfterMs, onSilent, onAnswered, onEnd } = options
  let waitedMs: number | null = null
  let hasEnded = false
  let checkedAtMs = performance.now()
  const isSilent = () => waitedMs !== null && waitedMs >= alarmAfterMs

  const timer = setInterval(() => {
    const nowMs = performance.now()
    const stepMs = Math.min(nowMs - checkedAtMs, 2 * CHECK_EVERY_MS)
    checkedAtMs = nowMs
    if (waitedMs === null) return
    const wasSilent = isSilent()
    waitedMs += stepMs
    if (!wasSilent && isSilent()) onSilent(waitedMs)
    if (waitedMs < endAfterMs || hasEnded) return
    hasEnded = true
    onEnd(waitedMs)
  }, CHECK_EVERY_MS)

  return {
    /** How long the writer thread has been silent, in ms; null while it answers in time. */
    get silentMs(): number | null {
      return isSilent() ? waitedMs : null
    },
    /** To be called when a request is sent to the writer thread. */
    begin(): void {
      waitedMs = 0
      checkedAtMs = performance.now()
    },
    /** To be called when the request is answered. */
    end(): void {
      if (isSilent()) onAnswered(waitedMs!)
      waitedMs = null
    },
    stop: () => clearInterval(timer),
  }
}
