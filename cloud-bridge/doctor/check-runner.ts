import { setTimeout as sleep } from 'node:timers/promises'
import { type Check, type Finding, fault } from './finding.ts'

/**
 * Looks at everything side by side, and tells what was found in the order of the checks. A check
 * that has not ended after `deadlineMs` is a fault itself; what takes longer than `slowMs` is told.
 * Gives all findings.
 */
export async function runChecks(
  checks: readonly Check[],
  on: { findings(found: Finding[]): void; slow(what: string[]): void },
  { deadlineMs = 12_000, slowMs = 1500 } = {},
): Promise<Finding[]> {
  const waiting = new Set(checks.map(({ what }) => what))
  const looks = checks.map(check =>
    inTime(check, deadlineMs).finally(() => {
      waiting.delete(check.what)
    }),
  )
  const timer = setInterval(() => on.slow([...waiting]), slowMs)
  const all: Finding[] = []
  try {
    for (const look of looks) {
      const found = await look
      all.push(...found)
      on.findings(found)
    }
    return all
  } finally {
    clearInterval(timer)
  }
}

async function inTime({ what, look }: Check, deadlineMs: number): Promise<Finding[]> {
  const done = new AbortController()
  const late = sleep(deadlineMs, null, { signal: done.signal }).then(() => [
    fault(what, `no answer within ${deadlineMs / 1000} s`, 'Ask again'),
  ])
  late.catch(() => {})
  try {
    return await Promise.race([look(), late])
  } catch (error) {
    return [fault(what, (error as Error).message, 'See what else is told here, and ask again')]
  } finally {
    done.abort()
  }
}
