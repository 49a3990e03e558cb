import { describe, expect, it } from 'vitest'
import { countTests, sumCounts } from './counts.ts'

const report = (files: { status: string; tests: string[] }[]) => {
  const all = files.flatMap(({ tests }) => tests)
  const count = (...of: string[]) => all.filter(status => of.includes(status)).length
  return JSON.stringify({
    numPassedTests: count('passed'),
    numFailedTests: count('failed'),
    numPendingTests: count('skipped'),
    numTodoTests: count('todo'),
    testResults: files.map(({ status, tests }) => ({
      status,
      assertionResults: tests.map(of => ({ status: of })),
    })),
  })
}

describe('the closing line counts', () => {
  it('tests by how they ended', () => {
    const files = [
      { status: 'passed', tests: ['passed', 'passed', 'skipped'] },
      { status: 'failed', tests: ['failed', 'passed', 'todo'] },
    ]
    expect(countTests(report(files), 1)).toEqual({ passed: 3, failed: 1, skipped: 2 })
  })

  it('a file that failed outside of its tests as one failure', () => {
    const files = [
      { status: 'failed', tests: [] },
      { status: 'failed', tests: ['passed'] },
    ]
    expect(countTests(report(files), 1)).toEqual({ passed: 1, failed: 2, skipped: 0 })
  })

  it('a run that failed for another reason, or left no report, as one failure', () => {
    const files = [{ status: 'passed', tests: ['passed'] }]
    expect(countTests(report(files), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 })
    expect(countTests(null, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 })
    expect(countTests(null, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })

  it('all together', () => {
    const one = { passed: 1, failed: 2, skipped: 3 }
    expect(sumCounts([one, one])).toEqual({ passed: 2, failed: 4, skipped: 6 })
  })
})
