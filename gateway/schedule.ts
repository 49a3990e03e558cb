import { createTask } from 'node-cron'

/** The clock may jump while a timer runs: after at most this time the clock is read again. */
const CHECK_EVERY_MS = 60_000

/**
 * Calls `work` whenever the clock passes a time of the schedule (the five fields of cron), until
 * disposed. Only computes the times with node-cron: the runner of node-cron counts every time that
 * a clock jumping forwards has passed (26 million for 50 years of minutes), and waits for years
 * after a jump back.
 */
export function startSchedule(expression: string, work: () => void): Disposable {
  const task = createTask(expression, () => {})
  const nextRunMs = () => task.getNextRuns(1)[0]!.getTime()
  let runAtMs = nextRunMs()
  let timer: NodeJS.Timeout
  const wait = () => {
    const restMs = Math.max(1, runAtMs - Date.now())
    timer = setTimeout(check, Math.min(restMs, CHECK_EVERY_MS))
  }
  const check = () => {
    const isTimeToRun = Date.now() >= runAtMs
    runAtMs = isTimeToRun ? nextRunMs() : Math.min(runAtMs, nextRunMs())
    wait()
    if (isTimeToRun) work()
  }
  wait()
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      void task.destroy()
    },
  }
}
