import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createPublishRecord } from '../../../simulators/devices/record.ts'
import { countScheduledBefore, scheduledAtMs } from '../../../simulators/devices/runner.ts'
import { createWaiter } from '../../../simulators/devices/waiter.ts'

describe('the record of what devices published', () => {
  it('agrees with a map of plain objects', () => {
    const step = fc.record({
      number: fc.oneof(fc.nat(40), fc.integer({ min: 65_500, max: 65_600 })),
      device: fc.nat(4),
      what: fc.constantFrom('publish', 'acknowledge', 'resend'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), steps => {
        const record = createPublishRecord(5)
        const model = new Map<number, { device: number; acknowledged: boolean; resent: boolean }>()
        for (const { number, device, what } of steps) {
          const known = model.get(number)
          if (what === 'publish') {
            if (known) expect(() => record.publish(number, device)).toThrow('published before')
            else record.publish(number, device)
            if (!known) model.set(number, { device, acknowledged: false, resent: false })
          } else if (!known) {
            expect(() => record[what as 'resend'](number)).toThrow('never published')
          } else {
            record[what as 'resend'](number)
            known[what === 'resend' ? 'resent' : 'acknowledged'] = true
          }
        }
        const known = [...model.values()]
        const tally = (of: typeof known) => ({
          published: of.length,
          acknowledged: of.filter(({ acknowledged }) => acknowledged).length,
          resent: of.filter(({ resent }) => resent).length,
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

  it('keeps the last device of half a billion', () => {
    const record = createPublishRecord(100_000)
    record.publish(3_000_000, 99_999)
    record.acknowledge(3_000_000)
    expect(record.messageAt(3_000_000)).toEqual({
      ...{ deviceIndex: 99_999, acknowledged: true, resent: false },
    })
    expect(() => createPublishRecord(2 ** 29 + 1)).toThrow('at most 536870912 devices')
  })
})

describe('the schedule', () => {
  it('counts exactly the messages whose moment has come', () => {
    const rate = fc.double({ min: 0.1, max: 1e5, noNaN: true })
    fc.assert(
      fc.property(rate, fc.nat(1e6), (ratePerSecond, n) => {
        const dueMs = scheduledAtMs(n, ratePerSecond)
        expect(countScheduledBefore(dueMs + 0.001 / ratePerSecond, ratePerSecond)).toBe(n + 1)
      }),
    )
    expect(countScheduledBefore(0, 500)).toBe(0)
    expect(countScheduledBefore(30_000, 500)).toBe(15_000)
    expect(scheduledAtMs(1e9, Number.POSITIVE_INFINITY)).toBe(0)
  })

  it('waits no longer than a change, if asked to', async () => {
    const pause = createWaiter()
    const waiting = pause.wait(1e12, 'or change')
    pause.notifyChange()
    await waiting
    let resumed = false
    const deaf = pause.wait(1e12, 'no change').then(() => {
      resumed = true
    })
    pause.notifyChange()
    await Promise.resolve()
    expect(resumed).toBe(false)
    pause.wake()
    await deaf
  })
})
