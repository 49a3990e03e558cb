import { describe, expect, it } from 'vitest'
import {
  createAnswerBudget,
  TooManyAnswers,
} from '../../../../../cloud-bridge/consumers/analytics/api/answer-budget.ts'
import { goldenEvent } from '../../../../config/event/events-fixture.ts'
import { openFilledApi } from './api-fixture.ts'

const NOW = Date.UTC(2026, 10, 23, 12)
const never = new AbortController().signal

describe('the budget of answers', () => {
  it('admits in order, refuses beyond the waiting requests, and forgets who goes away', async () => {
    const budget = createAnswerBudget({ rowsMax: 10, waitingMax: 2 })
    const first = await budget.admit(8, never)
    const order: string[] = []
    const gone = new AbortController()
    const large = budget.admit(100, gone.signal).catch(() => order.push('gone'))
    const small = budget.admit(2, never).then(release => {
      order.push('small')
      return release
    })
    await expect(budget.admit(1, never)).rejects.toThrow(TooManyAnswers)
    gone.abort(new Error('gone'))
    await large
    expect([budget.rowsInFlight, budget.waitingCount]).toEqual([8, 1])
    first()
    first()
    const release = await small
    expect([order, budget.rowsInFlight]).toEqual([['gone', 'small'], 2])
    release()
    expect(budget.rowsInFlight).toBe(0)
  })

  it('bounds the rows in flight of 40 questions of minutes, and refuses with Retry-After', async () => {
    const events = Array.from({ length: 300 }, (_, index) => ({
      ...{ ...goldenEvent, observedAt: null, zoneSequence: index + 1, sequence: index + 1 },
      receivedAt: NOW + index * 30_000,
      measurements: [{ metric: 'a', number: 1, flag: null, text: null, unit: null }],
    }))
    const budget = createAnswerBudget({ rowsMax: 250, waitingMax: 30 })
    const seen: number[] = []
    const watched: typeof budget = {
      get rowsInFlight() {
        return budget.rowsInFlight
      },
      get waitingCount() {
        return budget.waitingCount
      },
      async admit(rows, signal) {
        const release = await budget.admit(rows, signal)
        seen.push(budget.rowsInFlight)
        return release
      },
    }
    await using api = await openFilledApi(
      events,
      () => 0,
      () => NOW,
      { budget: watched },
    )
    const query = `size=1m&limit=100&from=${NOW}&to=${NOW + 3_600_000}`
    // No answer is given before all requests have arrived.
    const release = await budget.admit(250, never)
    const asked = Array.from({ length: 40 }, () => api.ask(`/api/aggregates?${query}`))
    let refused = 0
    const allRefused = Promise.withResolvers<void>()
    for (const answer of asked) {
      void answer.then(({ status }) => {
        if (status === 503 && ++refused === 10) allRefused.resolve()
      })
    }
    await allRefused.promise
    release()
    const answers = await Promise.all(asked)
    const byStatus = Map.groupBy(answers, ({ status }) => status)
    expect([200, 503].map(status => byStatus.get(status)?.length)).toEqual([30, 10])
    for (const { body } of byStatus.get(200)!) expect(body.aggregates).toHaveLength(60)
    for (const { headers } of byStatus.get(503)!) expect(headers.get('retry-after')).toBe('2')
    expect(Math.max(...seen)).toBeLessThanOrEqual(250)
    expect(seen.length).toBe(byStatus.get(200)!.length)
    const { status } = await api.ask(`/api/aggregates?${query}`)
    expect([status, budget.waitingCount]).toEqual([200, 0])
  })
})
