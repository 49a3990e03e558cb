import { describe, expect, it } from 'vitest'
import { formatOutcomeTable, outcomeOf } from '../../../../simulators/rehearse/stage/outcome.ts'

const verdict = {
  ...{ scheduled: 10, acknowledged: 10, stored: 10, buried: 0, delivered: 10, missing: 0 },
  ...{ duplicates: 0, rawDuplicates: 3, resent: 1, inversions: 0, verdict: 'complete' },
}

describe('the outcome of a rehearsal', () => {
  it('is passed when the verdict is complete', () => {
    expect(outcomeOf('kill', 3, verdict, ['2 hit'])).toEqual({
      ...{ fault: 'kill', times: 3, acknowledged: 10, lost: 0, countedTwice: 0, outOfOrder: 0 },
      ...{ remarks: '2 hit', passed: true },
    })
  })

  it('is not passed when the verdict has any fault, and names the fault', () => {
    const incomplete = { ...verdict, verdict: 'incomplete: 4 in a wrong partition' }
    expect(outcomeOf('kill', 3, incomplete, ['2 hit'])).toMatchObject({
      ...{ passed: false, remarks: '2 hit; incomplete: 4 in a wrong partition' },
    })
  })

  it('reports the acknowledged share of the scheduled messages', () => {
    expect(outcomeOf('kill', 3, { ...verdict, acknowledged: 8 }, ['2 hit'])).toMatchObject({
      ...{
        acknowledged: 8,
        passed: true,
        remarks: '2 hit; 80 % of the scheduled messages acknowledged',
      },
    })
  })

  it('is a row of a table with right-aligned numbers', () => {
    const rows = [outcomeOf('kill', 1000, verdict), { fault: 'clock', skipped: 'no compiler' }]
    expect(formatOutcomeTable(rows).split('\n')).toEqual([
      'fault  times  acknowledged  lost  twice  out of order           remarks',
      'kill    1000            10     0      0             0  passed',
      'clock                                                  skipped  no compiler',
    ])
  })
})
