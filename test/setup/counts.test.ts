import { describe, expect, it } from 'vitest'
import { countTests, sumCounts } from './counts.ts'

const report = (files: { status: string; tests: string[] }[]) => {
  const all = files.flatMap(({ tests }) => tests)
  const count = (result: string) => all.filter(status => status === result).length
  return JSON.stringify({
    numPassedTests: count('passed'),
    numFailedTests: count('failed'),
    numPendingTests: count('skipped'),
    numTodoTests: count('todo'),
    testResults: files.map(({ status, tests }) => ({
      status,
      assertionResults: tests.map(result => ({ status: result })),
    })),
  })
}

describe('the counts of the closing line', () => {
  it('are by result', () => {
    const files = [
      { status: 'passed', tests: ['passed', 'passed', 'skipped'] },
      { status: 'failed', tests: ['failed', 'passed', 'todo'] },
    ]
    expect(countTests(report(files), 1)).toEqual({ passed: 3, failed: 1, skipped: 2 })
  })

  it('have one failure for a file that failed outside of its tests', () => {
    const files = [
      { status: 'failed', tests: [] },
      { status: 'failed', tests: ['passed'] },
    ]
    expect(countTests(report(files), 1)).toEqual({ passed: 1, failed: 2, skipped: 0 })
  })

  it('have one failure for a run that failed for another reason or without a report', () => {
    const files = [{ status: 'passed', tests: ['passed'] }]
    expect(countTests(report(files), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 })
    expect(countTests(null, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 })
    expect(countTests(null, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })

  it('can be added up', () => {
    const counts = { passed: 1, failed: 2, skipped: 3 }
    expect(sumCounts([counts, counts])).toEqual({ passed: 2, failed: 4, skipped: 6 })
  })
})
