import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createPublishRecord } from '../../../simulators/devices/record.ts'
import { countScheduledBefore, scheduledAtMs } from '../../../simulators/devices/runner.ts'
import { createWaiter } from '../../../simulators/devices/waiter.ts'

describe('the publish record', () => {
  it('agrees with a map of plain objects', () => {
    const step = fc.record({
      number: fc.oneof(fc.nat(40), fc.integer({ min: 65_500, max: 65_600 })),
      device: fc.nat(4),
      action: fc.constantFrom('publish', 'acknowledge', 'resend'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), steps => {
        const record = createPublishRecord(5)
        const model = new Map<number, { device: number; acknowledged: boolean; resent: boolean }>()
        for (const { number, device, action } of steps) {
          const known = model.get(number)
          if (action === 'publish') {
            if (known) expect(() => record.publish(number, device)).toThrow('published before')
            else record.publish(number, device)
            if (!known) model.set(number, { device, acknowledged: false, resent: false })
          } else if (!known) {
            expect(() => record[action as 'resend'](number)).toThrow('never published')
          } else {
            record[action as 'resend'](number)
            known[action === 'resend' ? 'resent' : 'acknowledged'] = true
          }
        }
        const known = [...model.values()]
        const tally = (messages: typeof known) => ({
          published: messages.length,
          acknowledged: messages.filter(({ acknowledged }) => acknowledged).length,
          resent: messages.filter(({ resent }) => resent).length,
        })
        expect(record.total).toEqual(tally(known))
        expect(record.length).toBe(Math.max(0, ...[...model.keys()].map(number => number + 1)))
        for (let at = 0; at < 5; at++) {
          expect(record.tallyOf(at)).toEqual(tally(known.filter(({ device }) => device === at)))
        }
        for (const [number, { device, acknowledged, resent }] of model) {
          expect(record.messageAt(number)).toEqual({ deviceIndex: device, acknowledged, resent })
          expect(record.isAcknowledged(number)).toBe(acknowledged)
        }
        expect(record.messageAt(record.length)).toBeUndefined()
      }),
    )
  })

  it('holds a device index near the limit of half a billion', () => {
    const record = createPublishRecord(100_000)
    record.publish(3_000_000, 99_999)
    record.acknowledge(3_000_000)
    expect(record.messageAt(3_000_000)).toEqual({
      ...{ deviceIndex: 99_999, acknowledged: true, resent: false },
    })
    expect(() => createPublishRecord(2 ** 29 + 1)).toThrow(
      'devices is 536870913: give at most 536870912',
    )
  })
})

describe('the schedule', () => {
  it('counts exactly the messages scheduled before a moment', () => {
    const rate = fc.double({ min: 0.1, max: 1e5, noNaN: true })
    fc.assert(
      fc.property(rate, fc.nat(1e6), (ratePerSecond, n) => {
        const scheduledMs = scheduledAtMs(n, ratePerSecond)
        expect(countScheduledBefore(scheduledMs + 0.001 / ratePerSecond, ratePerSecond)).toBe(n + 1)
      }),
    )
    expect(countScheduledBefore(0, 500)).toBe(0)
    expect(countScheduledBefore(30_000, 500)).toBe(15_000)
    expect(scheduledAtMs(1e9, Number.POSITIVE_INFINITY)).toBe(0)
  })

  it('ends a wait at a change only with wake-on-change', async () => {
    const waiter = createWaiter()
    const waiting = waiter.wait(1e12, 'wake-on-change')
    waiter.notifyChange()
    await waiting
    let resumed = false
    const ignoring = waiter.wait(1e12, 'ignore-change').then(() => {
      resumed = true
    })
    waiter.notifyChange()
    await Promise.resolve()
    expect(resumed).toBe(false)
    waiter.wake()
    await ignoring
  })
})
