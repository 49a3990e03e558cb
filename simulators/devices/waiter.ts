/** Lets one loop wait for a time or for a change, whichever happens first. */
export type Waiter = {
  /**
   * Resolves after `forMs`, at a call of `wake`, and with 'wake-on-change' also at a call of
   * `notifyChange`. May resolve early, so the caller checks its condition in a loop.
   */
  wait(forMs: number, onChange: 'wake-on-change' | 'ignore-change'): Promise<void>
  notifyChange(): void
  wake(): void
}

/**
 * setTimeout fires at once when its delay exceeds 31 bits of milliseconds. A longer wait resolves
 * early and is repeated by its loop.
 */
const WAIT_MAX_MS = 60_000

/** A waiter for one loop at a time. */
export function createWaiter(): Waiter {
  let resume: (() => void) | undefined
  let wakesOnChange = false
  const wake = () => resume?.()
  return {
    wait: (forMs, onChange) =>
      new Promise(resolve => {
        const timer = setTimeout(() => resume?.(), Math.min(Math.max(0, forMs), WAIT_MAX_MS))
        wakesOnChange = onChange === 'wake-on-change'
        resume = () => {
          clearTimeout(timer)
          resume = undefined
          resolve()
        }
      }),
    notifyChange() {
      if (wakesOnChange) wake()
    },
    wake,
  }
}
