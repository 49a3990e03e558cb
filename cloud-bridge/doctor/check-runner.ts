import { pause } from '../../config/process/pause.ts'
import { type Check, type Finding, fault } from './finding.ts'

/**
 * Runs all checks concurrently and reports their findings in the order of the checks. A check that
 * has not ended after `deadlineMs` is a fault. Every `slowMs`, `on.slow` is called with the
 * subjects of the checks that still run. Resolves with all findings.
 */
export async function runChecks(
  checks: readonly Check[],
  on: { findings(found: Finding[]): void; slow(subjects: string[]): void },
  { deadlineMs = 12_000, slowMs = 1500 } = {},
): Promise<Finding[]> {
  const running = new Set(checks.map(({ subject }) => subject))
  const results = checks.map(check =>
    runWithDeadline(check, deadlineMs).finally(() => {
      running.delete(check.subject)
    }),
  )
  const timer = setInterval(() => on.slow([...running]), slowMs)
  const all: Finding[] = []
  try {
    for (const result of results) {
      const findings = await result
      all.push(...findings)
      on.findings(findings)
    }
    return all
  } finally {
    clearInterval(timer)
  }
}

async function runWithDeadline(check: Check, deadlineMs: number): Promise<Finding[]> {
  const { subject } = check
  const done = new AbortController()
  const timeout = pause(deadlineMs, done.signal).then(() => [
    fault(subject, `no answer within ${deadlineMs / 1000} s`, 'Run the doctor again'),
  ])
  try {
    return await Promise.race([check.run(), timeout])
  } catch (error) {
    const cure = 'Fix the other findings first, and run the doctor again'
    return [fault(subject, (error as Error).message, cure)]
  } finally {
    done.abort()
  }
}
