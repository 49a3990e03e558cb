import { describe, expect, it } from 'vitest'
import { createForecast, headroomUntilFull } from '../../../../gateway/store/retention/forecast.ts'

const waiting = (bytes: number, events = 0) => ({ bytes, events, oldestAgeMs: 0 })
const left = { bytes: 1000, events: Number.POSITIVE_INFINITY }

describe('the forecast', () => {
  it('gives the time until the headroom is used up at the rate so far', () => {
    const forecast = createForecast()
    expect(forecast(0, waiting(0), left)).toBe(null)
    expect(forecast(5000, waiting(50), left)).toBe(null)
    expect(forecast(20_000, waiting(200), left)).toBe(100_000)
    expect(forecast(20_000, waiting(200), { ...left, bytes: -5 })).toBe(0)
  })

  it('counts the backlog and not arrivals: null while the backlog does not grow', () => {
    const forecast = createForecast()
    forecast(0, waiting(500), left)
    expect(forecast(20_000, waiting(500), left)).toBe(null)
    expect(forecast(30_000, waiting(100), left)).toBe(null)
  })

  it('uses the bound that is reached first', () => {
    const forecast = createForecast()
    forecast(0, waiting(0, 0), left)
    expect(forecast(10_000, waiting(10, 100), { bytes: 1000, events: 500 })).toBe(50_000)
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
