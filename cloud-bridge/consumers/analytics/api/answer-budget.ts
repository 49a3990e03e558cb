/** The budget is used up, and enough requests wait: the client should repeat the request later. */
export class TooManyAnswers extends Error {}

export type AnswerBudget = ReturnType<typeof createAnswerBudget>

const ROWS_MAX = 20_000
const WAITING_MAX = 64

type Waiting = { rows: number; resolve: (release: () => void) => void }

/**
 * Bounds the entries of all answers that are in memory at the same time, from the first read until
 * the client has the last byte. Requests wait for room in the order of their arrival; when
 * `waitingMax` requests wait, the next is refused.
 */
export function createAnswerBudget({ rowsMax = ROWS_MAX, waitingMax = WAITING_MAX } = {}) {
  const waiting = new Set<Waiting>()
  let rowsInFlight = 0

  const start = (rows: number) => {
    rowsInFlight += rows
    let isReleased = false
    return () => {
      if (isReleased) return
      isReleased = true
      rowsInFlight -= rows
      for (const next of waiting) {
        if (rowsInFlight + next.rows > rowsMax) break
        waiting.delete(next)
        next.resolve(start(next.rows))
      }
    }
  }
  return {
    get rowsInFlight(): number {
      return rowsInFlight
    },
    get waitingCount(): number {
      return waiting.size
    },
    /**
     * Resolves with the function that releases the rows, when there is room for them. More rows
     * than the whole budget count as the whole budget. Rejects with TooManyAnswers, or with the
     * signal's reason when `signal` aborts while the request waits.
     */
    async admit(rows: number, signal: AbortSignal): Promise<() => void> {
      signal.throwIfAborted()
      const needed = Math.min(rows, rowsMax)
      if (waiting.size === 0 && rowsInFlight + needed <= rowsMax) return start(needed)
      if (waiting.size >= waitingMax) {
        throw new TooManyAnswers(
          `${waiting.size} requests wait already: repeat the request later, with a smaller limit`,
        )
      }
      const { promise, resolve, reject } = Promise.withResolvers<() => void>()
      const entry: Waiting = { rows: needed, resolve }
      const onAbort = () => {
        waiting.delete(entry)
        reject(signal.reason)
      }
      waiting.add(entry)
      signal.addEventListener('abort', onAbort, { once: true })
      return promise.finally(() => signal.removeEventListener('abort', onAbort))
    },
  }
}
