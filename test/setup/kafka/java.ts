import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, inject } from 'vitest'

/** Where Kafka's jars are kept between runs; the same place that `npm start` uses. */
export const cacheDir = process.env.SLUICE_CACHE ?? join(homedir(), '.cache', 'sluice')

/**
 * A suite that needs a Kafka. Where there can be none it is skipped, and counted as skipped; only
 * in CI that is a failure, because there nobody reads what was skipped.
 */
export function describeWithKafka(name: string, suite: () => void): void {
  const missing = inject('missing')
  if (missing !== null && process.env.CI) throw new Error(`${name}: ${missing}`)
  describe.skipIf(missing !== null)(name, suite)
}
