import { createTask } from 'node-cron'

/** The clock may jump while a timer runs, so it is asked again after this time at the latest. */
const LOOK_EVERY_MS = 60_000

/**
 * Calls `work` whenever the clock passes a moment of the schedule, which is cron's five fields.
 * node-cron only tells the moments: its own runner counts every one that a clock which jumps ahead
 * has passed (26 million for 50 years of minutes), and waits for years for one that jumps back.
 */
export function startSchedule(expression: string, work: () => void): Disposable {
  const task = createTask(expression, () => {})
  const nextMs = () => task.getNextRuns(1)[0]!.getTime()
  let dueMs = nextMs()
  let timer: NodeJS.Timeout
  const wait = () => {
    const restMs = Math.max(1, dueMs - Date.now())
    timer = setTimeout(look, Math.min(restMs, LOOK_EVERY_MS))
  }
  const look = () => {
    const isDue = Date.now() >= dueMs
    dueMs = isDue ? nextMs() : Math.min(dueMs, nextMs())
    wait()
    if (isDue) work()
  }
  wait()
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      void task.destroy()
    },
  }
}
