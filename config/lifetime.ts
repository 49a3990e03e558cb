/**
 * Resolves with the name of the first signal that asks this process to end (SIGINT, SIGTERM). From
 * then on it has `deadlineMs` to end in order; a second signal ends it at once, exit code 130.
 */
export function untilSignal(deadlineMs: number): Promise<string> {
  return new Promise(resolve => {
    let asked = false
    const onSignal = (signal: string) => {
      if (asked) process.exit(130)
      asked = true
      setTimeout(() => process.exit(1), deadlineMs).unref()
      resolve(signal)
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}
