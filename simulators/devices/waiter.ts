/** One loop's way to wait: for a time, or for a change, whichever comes first. */
export interface Waiter {
  /** Resolves after the time, at `wake`, or, if asked for, at `changed`. May resolve early. */
  wait(forMs: number, orChange: 'or change' | 'no change'): Promise<void>
  notifyChange(): void
  wake(): void
}

/** setTimeout takes 31 bits of milliseconds and treats more as nothing: wait in parts. */
const waitMaxMs = 60_000

/** A pause for one waiter at a time. */
export function createWaiter(): Waiter {
  let resume: (() => void) | undefined
  let wakesOnChange = false
  const wake = () => resume?.()
  return {
    wait: (forMs, orChange) =>
      new Promise(resolve => {
        const timer = setTimeout(() => resume?.(), Math.min(Math.max(0, forMs), waitMaxMs))
        wakesOnChange = orChange === 'or change'
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
