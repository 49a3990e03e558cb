import type { createLog } from '../../config/process/log.ts'

/**
 * Records which dependencies of a process are unavailable, and why. Logs the beginning and the end
 * of each outage. Calls `onFault` at each report that a dependency is unavailable.
 */
export function createDependencyStatus(log: ReturnType<typeof createLog>, onFault: () => void) {
  const outages = new Map<string, { reason: string; sinceMs: number }>()
  return {
    /**
     * Returns the function that reports the state of a dependency: the reason why it is
     * unavailable, or null when it is available.
     */
    reporterOf: (dependency: string) => (reason: string | null) => {
      const outage = outages.get(dependency)
      if (reason === null) {
        if (!outage) return
        outages.delete(dependency)
        const seconds = Math.round((performance.now() - outage.sinceMs) / 1000)
        log.info(`${dependency} available again after ${seconds} s`)
        return
      }
      onFault()
      if (!outage) log.warn({ reason }, `${dependency} unavailable; retrying`)
      outages.set(dependency, { reason, sinceMs: outage?.sinceMs ?? performance.now() })
    },
    /** The reason for each unavailable dependency. */
    unavailable: (): Record<string, string> =>
      Object.fromEntries([...outages].map(([dependency, { reason }]) => [dependency, reason])),
    /** One text for each unavailable dependency, with the reason. */
    unavailableReasons: () =>
      [...outages].map(([dependency, { reason }]) => `${dependency}: ${reason}`),
  }
}
