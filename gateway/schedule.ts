import { createTask } from 'node-cron'

/** The clock is read at least this often, because the clock may jump while a timer runs. */
const CHECK_EVERY_MS = 60_000

/**
 * Calls `work` whenever the clock passes a time of the schedule (the five fields of cron), until
 * disposed. Uses node-cron only to compute the next time. The runner of node-cron is not used,
 * because after a forward jump of the clock it visits every scheduled time that the jump passed (26
 * million for 50 years of minutes), and after a backward jump of years it runs nothing for years.
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
