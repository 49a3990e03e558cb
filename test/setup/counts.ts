/** The numbers of tests by their result. */
export type TestCounts = { passed: number; failed: number; skipped: number }

/** The fields of vitest's JSON report that countTests reads. */
type Report = {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  testResults: { status: string; assertionResults: { status: string }[] }[]
}

/**
 * Counts the tests in a JSON report (null: the report is missing). A file that failed outside of
 * its tests counts as one failure, as does a run that failed for a reason outside of the report.
 */
export function countTests(text: string | null, exitCode: number): TestCounts {
  if (text === null) return { passed: 0, failed: 1, skipped: 0 }
  const counts = countReport(JSON.parse(text))
  const isUnexplained = exitCode !== 0 && counts.failed === 0
  return isUnexplained ? { ...counts, failed: 1 } : counts
}

export function sumCounts(all: TestCounts[]): TestCounts {
  const sum = (of: keyof TestCounts) => all.reduce((total, counts) => total + counts[of], 0)
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }
}

function countReport(report: Report): TestCounts {
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && assertionResults.every(test => test.status !== 'failed'),
  )
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}
