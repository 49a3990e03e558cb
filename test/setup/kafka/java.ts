import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, inject } from 'vitest'

/** The cache of Kafka's jars between runs; `npm start` uses the same directory. */
export const cacheDir = process.env.SLUICE_CACHE ?? join(homedir(), '.cache', 'sluice')

/**
 * A suite that needs Kafka. Skipped, and counted as skipped, where Kafka cannot run; an error in
 * CI, where nobody reads what was skipped.
 */
export function describeWithKafka(name: string, suite: () => void): void {
  const missing = inject('missing')
  if (missing !== null && process.env.CI) throw new Error(`${name}: ${missing}`)
  describe.skipIf(missing !== null)(name, suite)
}
