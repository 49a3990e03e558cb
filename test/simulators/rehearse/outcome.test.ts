import { describe, expect, it } from 'vitest'
import { outcomeOf, tableOf } from '../../../simulators/rehearse/outcome.ts'

const verdict = {
  ...{ scheduled: 10, acknowledged: 10, stored: 10, buried: 0, delivered: 10, missing: 0 },
  ...{ duplicates: 0, rawDuplicates: 3, resent: 1, inversions: 0, verdict: 'complete' },
}

describe('the outcome of a rehearsal', () => {
  it('is passed when nothing is missing, twice or out of order', () => {
    expect(outcomeOf('kill', 3, verdict, ['2 hit'])).toEqual({
      ...{ fault: 'kill', times: 3, acknowledged: 10, lost: 0, countedTwice: 0, outOfOrder: 0 },
      ...{ remarks: '2 hit', passed: true },
    })
  })

  it.each([{ missing: 4 }, { duplicates: 1 }, { inversions: 1 }, { acknowledged: 0 }])(
    'is not passed with %j',
    fault => expect(outcomeOf('kill', 3, { ...verdict, ...fault }).passed).toBe(false),
  )

  it('tells how much was acknowledged of what was sent, and does not judge it', () => {
    const few = { ...verdict, acknowledged: 8, verdict: 'incomplete: only 8 of 10 acknowledged' }
    expect(outcomeOf('kill', 3, few, ['2 hit'])).toMatchObject({
      ...{ acknowledged: 8, passed: true },
      remarks: '2 hit; 80 % of what was sent',
    })
  })

  it('is a row of a table, numbers to the right', () => {
    const rows = [outcomeOf('kill', 1000, verdict), { fault: 'clock', skipped: 'no compiler' }]
    expect(tableOf(rows).split('\n')).toEqual([
      'fault  times  acknowledged  lost  twice  out of order           remarks',
      'kill    1000            10     0      0             0  passed',
      'clock                                                  skipped  no compiler',
    ])
  })
})
