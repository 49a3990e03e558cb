import { describe, expect, it } from 'vitest'
import { assessGateways } from '../../../../cloud-bridge/ledger/assessment.ts'
import { judgeLedger } from '../../../../simulators/rehearse/stage/ledger-proof.ts'
import {
  gatewayWith,
  ledgerOf,
  note,
  without,
} from '../../../cloud-bridge/ledger/gateway-fixture.ts'

type Arrivals = Parameters<typeof ledgerOf>[0]
const proven = (arrivals: Arrivals, nowMs: number, more = {}) =>
  judgeLedger(
    assessGateways(ledgerOf(arrivals).gateways.values(), {
      ...{ nowMs, silentAfterMs: 3_600_000, inFlightMaxEvents: 0 },
    }),
    more,
  )

describe('the proof of a rehearsal', () => {
  it('is that the newest heartbeat claims all that came, and that all of it came', () => {
    const gateway = gatewayWith('abab')
    gateway.heartbeat()
    const { notes, events, nowMs } = gateway
    expect(proven([...notes, ...events], nowMs)).toEqual({
      ...{ isProven: true, said: 'ledger: complete' },
    })
  })

  it('is not a heartbeat of before the fault, when none comes after it', () => {
    const gateway = gatewayWith('ab')
    gateway.heartbeat()
    gateway.event('a')
    const { notes, events, nowMs } = gateway
    expect(proven([...notes, ...events], nowMs)).toEqual({
      ...{ isProven: false, said: 'ledger: NOT proven, 1 behind the newest heartbeat' },
    })
  })

  it('may be without a claim for runs that were forgotten, where that was the fault', () => {
    const gateway = gatewayWith('ab')
    const later = { sequence: 9, at: gateway.nowMs + 1 }
    const epoch = note('epoch', { epoch: 2, firstSequence: 1, previous: null }, later)
    const beat = { epoch: 2, lastSequence: 0, zones: [] }
    const all = [...gateway.notes, ...gateway.events, epoch, note('heads', beat, later)]
    expect(proven(all, later.at).isProven).toBe(false)
    expect(proven(all, later.at, { mayForget: true })).toEqual({
      ...{ isProven: true, said: 'ledger: complete, 2 of forgotten runs' },
    })
    const more = { ...gateway.events[1]!, epoch: 2 }
    expect(proven([...all, more], later.at, { mayForget: true }).isProven).toBe(false)
  })

  it('is not without the tail that the newest heartbeat claims', () => {
    const gateway = gatewayWith('ab')
    gateway.heartbeat()
    for (const zone of 'ab') gateway.event(zone)
    gateway.heartbeat()
    const { notes, events, nowMs } = gateway
    expect(proven([...notes, ...without(events, 3, 4)], nowMs)).toEqual({
      ...{ isProven: false, said: 'ledger: NOT proven, 2 did not come' },
    })
  })

  it('is not of one whose zone sequences are broken, of one that lacks any, nor of nobody', () => {
    const gateway = gatewayWith('aba')
    gateway.heartbeat()
    const { notes, events, nowMs } = gateway
    const stray = { ...events[2]!, zoneSequence: 1 }
    const said = (arrivals: Arrivals) => proven(arrivals, nowMs).said
    expect(said([...notes, ...events.slice(0, 2), stray])).toMatch(/1 with a number/)
    expect(said([...notes, ...without(events, 1)])).toBe('ledger: unproven, 1 missing')
    expect(said([])).toBe('ledger: knows nobody')
  })
})
