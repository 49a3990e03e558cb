import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  createConnectionFaults,
  MessageRefused,
} from '../../../../gateway/mqtt/bounds/connection-faults.ts'

const MINUTE_MS = 60_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function create(delayMaxMs = 20_000) {
  const logged: object[] = []
  const faults = createConnectionFaults(delayMaxMs, fields => logged.push(fields))
  const repeat = (client: string, times: number, text = 'a packet declares 9 bytes') => {
    for (let time = 0; time < times; time++) faults.record(client, new Error(text))
  }
  return { faults, logged, repeat }
}

describe('the faults of clients', () => {
  it('delay a client from the third on, twice as long each time, up to the maximum', () => {
    const { faults, repeat } = create(5000)
    const delays = Array.from({ length: 7 }, () => {
      repeat('c', 1)
      return faults.delayMs('c')
    })
    expect(delays).toEqual([0, 0, 1000, 2000, 4000, 5000, 5000])
    expect(faults.delayMs('other')).toBe(0)
  })

  it('are over after ten minutes without a further fault', () => {
    const { faults, repeat } = create()
    repeat('c', 5)
    expect([faults.loops(), faults.alarms().length]).toEqual([1, 1])
    vi.advanceTimersByTime(10 * MINUTE_MS)
    expect([faults.delayMs('c'), faults.loops(), faults.alarms()]).toEqual([0, 0, []])
  })

  it('count as the same fault although their numbers differ, and not when their kinds differ', () => {
    const { faults, repeat } = create()
    for (const bytes of [7, 8, 9]) repeat('same', 1, `a packet declares ${bytes} bytes`)
    for (const text of ['a', 'b', 'c', 'd']) repeat('different', 1, text)
    expect([faults.delayMs('same'), faults.delayMs('different')]).toEqual([1000, 0])
  })

  it('are logged once a minute for a client, and for at most ten clients a minute', () => {
    const { logged, repeat } = create()
    repeat('c', 5)
    expect(logged).toHaveLength(1)
    for (let n = 0; n < 30; n++) repeat(`c${n}`, 1)
    expect(logged).toHaveLength(10)
    vi.advanceTimersByTime(MINUTE_MS)
    repeat('c', 1)
    expect(logged.at(-1)).toEqual({
      ...{ client: 'c', reason: 'a packet declares 9 bytes', times: 6, suppressed: 21 },
    })
  })

  it('of a thousand clients are remembered, those with the newest', () => {
    const { faults, repeat } = create()
    repeat('first', 3)
    for (let n = 0; n < 1000; n++) repeat(`c${n}`, 3)
    expect([faults.loops(), faults.delayMs('first'), faults.delayMs('c0')]).toEqual([1000, 0, 1000])
  })

  it('are not errors of the network, nor refusals by the gateway', () => {
    const { faults, logged } = create()
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    const others = [
      reset,
      new Error('keep alive timeout'),
      new MessageRefused('the outbox is full'),
    ]
    for (let time = 0; time < 5; time++) for (const error of others) faults.record('c', error)
    expect([faults.delayMs('c'), faults.alarms(), logged]).toEqual([0, [], []])
  })
})
