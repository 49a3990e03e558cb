import type { createLog } from '../../config/process/log.ts'

/**
 * Which dependencies of a process are unavailable, and why. Logs the beginning and the end of each
 * outage; `onFault` counts each report of a reason.
 */
export function createDependencyStatus(log: ReturnType<typeof createLog>, onFault: () => void) {
  const outages = new Map<string, { reason: string; sinceMs: number }>()
  return {
    /** Returns a function that reports why a dependency is unavailable, or null: available. */
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
    /** The reason by dependency. */
    unavailable: (): Record<string, string> =>
      Object.fromEntries([...outages].map(([dependency, { reason }]) => [dependency, reason])),
    /** One text for each unavailable dependency. */
    unavailableReasons: () =>
      [...outages].map(([dependency, { reason }]) => `${dependency}: ${reason}`),
  }
}
