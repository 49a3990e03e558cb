import { describe, expect, it } from 'vitest'
import type { GatewayAssessment } from '../../../cloud-bridge/ledger/assessment.ts'
import type { ReportedGap } from '../../../cloud-bridge/ledger/gaps.ts'
import { createReport, describeReport, exitCodeOf } from '../../../cloud-bridge/ledger/report.ts'

const complete: GatewayAssessment = {
  ...{
    gateway: 'gw',
    state: 'complete',
    time: Date.UTC(2026, 0, 2),
    heardAt: Date.UTC(2026, 0, 2),
    holes: [],
    lostNotes: [],
  },
  ...{
    events: 12_345,
    duplicates: 6,
    strange: 0,
    missing: 0,
    awaited: 0,
    unproven: 0,
    forgotten: 0,
    explained: 0,
    expired: 0,
    conflicting: 0,
  },
  ...{ conflicts: [], stores: [], problems: [], retired: [] },
}
const gap: ReportedGap = {
  ...{ gateway: 'gw', epoch: 7, zone: 'z', from: 3, to: 4, fate: 'missing', reason: 'none' },
  ...{ timeFrom: Date.UTC(2026, 0, 1), timeTo: null },
}
const codeOf = (...gateways: GatewayAssessment[]) => exitCodeOf(createReport(gateways, 0, 0))

describe('the exit code', () => {
  it('is 0 only when every gateway is complete', () => {
    expect(codeOf(complete, complete)).toBe(0)
    expect(codeOf(complete, { ...complete, state: 'silent' })).toBe(3)
    expect(codeOf({ ...complete, state: 'unproven', awaited: 5 })).toBe(3)
    expect(codeOf()).toBe(3)
  })

  it.each(['missing', 'explained', 'strange', 'conflicting'])('is 1 when some are %s', what => {
    expect(codeOf({ ...complete, [what]: 1 }, { ...complete, state: 'silent' })).toBe(1)
  })
})

const lostNotes = [{ store: 'aa', run: 7, origin: 'outbox', from: 1, to: 2, reason: 'gone' }]

it('with lost notes the exit code is 1, although no event is missing', () => {
  expect(codeOf({ ...complete, lostNotes })).toBe(1)
})

describe('the report as text', () => {
  const textOf = (...gateways: GatewayAssessment[]) => describeReport(createReport(gateways, 0, 0))

  it('says up to when, and the counts that are not zero', () => {
    expect(textOf(complete)).toBe(
      'gw: complete up to 2026-01-02T00:00:00.000Z; 12,345 events, 6 duplicates removed',
    )
    expect(textOf({ ...complete, state: 'unproven', time: null })).toMatch(
      /^gw: unproven since the beginning/,
    )
    expect(textOf()).toBe('no gateway has sent anything yet')
  })

  it('lists gaps up to a limit, and lost notes', () => {
    const holes = Array.from({ length: 25 }, (_, at) => ({ ...gap, zone: at === 0 ? null : 'z' }))
    const lines = textOf({ ...complete, missing: 50, holes, lostNotes }).split('\n')
    expect(lines[0]).toMatch(/50 missing, 2 notes lost/)
    const times = '2026-01-01T00:00:00.000Z to ?'
    expect(lines[1]).toBe(`  missing: sequence 3..4 (2) of epoch 7, ${times}: none`)
    expect(lines[2]).toBe(`  missing: zone z 3..4 (2) of epoch 7, ${times}: none`)
    expect(lines.slice(-2)).toEqual([
      '  and 5 more gaps; --json lists all',
      '  notes 1..2 of the outbox are lost (gone)',
    ])
  })

  it('says how many events no heartbeat claims yet', () => {
    expect(textOf({ ...complete, unproven: 7 })).toMatch(/, 7 after the newest heartbeat$/)
    const withForgotten = { ...complete, unproven: 7, forgotten: 2 }
    const text = /, 5 after the newest heartbeat, 2 of an epoch that a restored outbox forgot$/
    expect(textOf(withForgotten)).toMatch(text)
  })

  it('says when Kafka stored a heartbeat whose clock can be wrong', () => {
    const text =
      'gw: complete up to 1970-01-01T00:00:09.000Z by its clock (Kafka stored that heartbeat at 2026-'
    expect(textOf({ ...complete, time: 9000 })).toContain(text)
    expect(textOf({ ...complete, heardAt: Date.UTC(2026, 0, 2, 0, 0, 59) })).not.toContain('clock')
  })

  it('lets no name control the terminal', () => {
    expect(textOf({ ...complete, gateway: 'g\u001b[2J' })).not.toContain('\u001b')
  })

  it('reports foreign values', () => {
    expect(describeReport(createReport([complete], 3, 0))).toMatch(
      /3 values in the topics are neither events nor notes of Sluice/,
    )
  })
})
