/**
 * A clock of the time in which the gateway reads from its connections, in ms, for deadlines of
 * clients. The clock advances in steps. It stands still while `isPaused()` is true and while the
 * process is stopped, and it does not depend on the wall clock, so that no client misses a deadline
 * for a reason of the gateway. Calls `onStep` after each step. Runs until `stop`.
 */
export function startReadingClock(stepMs: number, isPaused: () => boolean, onStep: () => void) {
  let clockMs = 0
  let steppedAtMs = performance.now()
  const timer = setInterval(() => {
    const nowMs = performance.now()
    const elapsedMs = Math.min(nowMs - steppedAtMs, 2 * stepMs)
    steppedAtMs = nowMs
    if (isPaused()) return
    clockMs += elapsedMs
    onStep()
  }, stepMs)
  return {
    now: () => clockMs,
    stop: () => clearInterval(timer),
  }
}
