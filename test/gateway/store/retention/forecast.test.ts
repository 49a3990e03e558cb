import { describe, expect, it } from 'vitest'
import { createForecast, headroomUntilFull } from '../../../../gateway/store/retention/forecast.ts'

/** Random numbers from 0 to 1 by a seed (Numerical Recipes' linear congruential generator). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return state / 2 ** 32
  }
}

const waiting = (bytes: number, events = 0) => ({ bytes, events, oldestAgeMs: 0 })
const left = { bytes: 1000, events: Number.POSITIVE_INFINITY }

describe('the forecast', () => {
  it('gives the time until the headroom is used up at the rate so far', () => {
    const forecast = createForecast()
    for (const s of [0, 5, 10, 20, 25]) {
      expect(forecast(s * 1000, waiting(s * 10), left)).toBe(null)
    }
    expect(forecast(30_000, waiting(300), left)).toBe(100_000)
    expect(forecast(30_000, waiting(300), { ...left, bytes: -5 })).toBe(0)
  })

  it('counts the backlog and not arrivals: null while the backlog does not grow', () => {
    const forecast = createForecast()
    for (let s = 0; s < 60; s += 10) expect(forecast(s * 1000, waiting(500), left)).toBe(null)
    expect(forecast(60_000, waiting(100), left)).toBe(null)
  })

  it('uses the bound that is reached first', () => {
    const forecast = createForecast()
    const room = { bytes: 1000, events: 500 }
    for (let s = 0; s < 30; s += 10) forecast(s * 1000, waiting(s, s * 10), room)
    expect(forecast(30_000, waiting(30, 300), room)).toBe(50_000)
  })

  it('counts down between two samples, and does not jump with the ups and downs of a backlog', () => {
    const forecast = createForecast()
    const random = createRandom(1)
    const day = 86_400_000
    const shown: number[] = []
    // A backlog that grows by 100 bytes a second, and varies by 3,000 bytes from second to second.
    for (let s = 0; s < 600; s++) {
      const backlog = waiting(s * 100 + Math.round(random() * 3000))
      const inMs = forecast(s * 1000, backlog, { ...left, bytes: 100 * (day / 1000) - s * 100 })
      if (s >= 120 && inMs !== null) shown.push(inMs)
    }
    expect(shown).toHaveLength(480)
    const steps = shown.slice(1).map((ms, index) => ms - shown[index]!)
    // In nine of ten seconds one second passes; a new sample moves the forecast by a few percent.
    expect(steps.filter(step => step === -1000).length).toBeGreaterThanOrEqual(430)
    expect(Math.max(...steps.map(Math.abs))).toBeLessThan(0.1 * day)
  })

  it('makes no forecast from ups and downs alone', () => {
    const forecast = createForecast()
    const random = createRandom(2)
    const shown = Array.from({ length: 600 }, (_, s) =>
      forecast(s * 1000, waiting(Math.round(random() * 3000), Math.round(random() * 50)), left),
    )
    expect(shown.filter(ms => ms !== null)).toEqual([])
  })

  it('forgets what was more than five minutes ago', () => {
    const forecast = createForecast()
    for (let s = 0; s <= 600; s += 10) forecast(s * 1000, waiting(Math.min(s, 300)), left)
    expect(forecast(610_000, waiting(300), left)).toBe(null)
  })
})

describe('the headroom', () => {
  const bounds = {
    ...{ bytes: 1000, events: null, hours: null },
    ...{ deadLetterBytes: 0, freeDiskBytes: 100 },
  }
  const room = { fileBytes: 700, freeBytes: 100, walBytes: 0, freeDiskBytes: 5000, diskBytes: 9000 }
  const stored = { keptBytes: 50, storedBytes: 300, waitingEvents: 7 }

  it('counts pages, which events fill in part, and delivered events that are kept', () => {
    expect(headroomUntilFull(room, bounds, stored).bytes).toBe(400 / 2 + 50)
    expect(headroomUntilFull(room, bounds, stored).events).toBe(Number.POSITIVE_INFINITY)
    expect(headroomUntilFull(room, { ...bounds, events: 10 }, stored).events).toBe(3)
  })

  it('ends with the disk', () => {
    const tight = { ...room, freeDiskBytes: 120 }
    expect(headroomUntilFull(tight, bounds, stored).bytes).toBe(120 / 2 + 50)
  })
})
