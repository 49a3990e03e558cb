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
  it('is that the newest heartbeat claims every received event, and every claimed event was received', () => {
    const gateway = gatewayWith('abab')
    gateway.heartbeat()
    const { notes, events, nowMs } = gateway
    expect(proven([...notes, ...events], nowMs)).toEqual({
      ...{ isProven: true, summary: 'ledger: complete' },
    })
  })

  it('is not a heartbeat from before the fault without one after it', () => {
    const gateway = gatewayWith('ab')
    gateway.heartbeat()
    gateway.event('a')
    const { notes, events, nowMs } = gateway
    expect(proven([...notes, ...events], nowMs)).toEqual({
      ...{ isProven: false, summary: 'ledger: NOT proven, 1 after the newest heartbeat' },
    })
  })

  it('may lack a claim for forgotten epochs where forgetting is the fault', () => {
    const gateway = gatewayWith('ab')
    const later = { sequence: 9, at: gateway.nowMs + 1 }
    const epoch = note('epoch', { epoch: 2, firstSequence: 1, previous: null }, later)
    const beat = { epoch: 2, lastSequence: 0, zones: [] }
    const all = [...gateway.notes, ...gateway.events, epoch, note('heads', beat, later)]
    expect(proven(all, later.at).isProven).toBe(false)
    expect(proven(all, later.at, { mayForget: true })).toEqual({
      ...{ isProven: true, summary: 'ledger: complete, 2 of forgotten epochs' },
    })
    const more = { ...gateway.events[1]!, epoch: 2 }
    expect(proven([...all, more], later.at, { mayForget: true }).isProven).toBe(false)
  })

  it('is not given while events that the newest heartbeat claims are missing', () => {
    const gateway = gatewayWith('ab')
    gateway.heartbeat()
    for (const zone of 'ab') gateway.event(zone)
    gateway.heartbeat()
    const { notes, events, nowMs } = gateway
    expect(proven([...notes, ...without(events, 3, 4)], nowMs)).toEqual({
      ...{ isProven: false, summary: 'ledger: NOT proven, 2 not received' },
    })
  })

  it('is not given for wrong zone sequences, for missing events, or without any gateway', () => {
    const gateway = gatewayWith('aba')
    gateway.heartbeat()
    const { notes, events, nowMs } = gateway
    const stray = { ...events[2]!, zoneSequence: 1 }
    const summary = (arrivals: Arrivals) => proven(arrivals, nowMs).summary
    expect(summary([...notes, ...events.slice(0, 2), stray])).toMatch(/1 with a sequence/)
    expect(summary([...notes, ...without(events, 1)])).toBe('ledger: unproven, 1 missing')
    expect(summary([])).toBe('ledger: knows no gateway')
  })
})
