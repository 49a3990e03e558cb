import { describe, it } from 'vitest'
import { checkAggregation } from './aggregation-model.ts'

const TWO_DAYS_MS = 172_800_000

describe('analytics', () => {
  it('equals a plain computation over all readings, in whatever order they arrive and wherever batches end', async () => {
    await checkAggregation({ spanMs: TWO_DAYS_MS, numRuns: 200 })
  }, 60_000)
})
