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
  },
}
const hole: ReportedGap = {
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

  it.each(['missing', 'explained', 'strange'])('is 1 when some are %s', what => {
    expect(codeOf({ ...complete, [what]: 1 }, { ...complete, state: 'silent' })).toBe(1)
  })
})

const lostNotes = [{ store: 'aa', origin: 'outbox', from: 1, to: 2, reason: 'gone' }]

it('with lost notes is that of a hole, although all events are there', () => {
  expect(codeOf({ ...complete, lostNotes })).toBe(1)
})

describe('the report for a person', () => {
  const textOf = (...gateways: GatewayAssessment[]) => describeReport(createReport(gateways, 0, 0))

  it('says up to when, what was counted, and nothing that is nought', () => {
    expect(textOf(complete)).toBe(
      'gw: complete up to 2026-01-02T00:00:00.000Z; 12,345 events, 6 duplicates removed',
    )
    expect(textOf({ ...complete, state: 'unproven', time: null })).toMatch(
      /^gw: unproven since ever/,
    )
    expect(textOf()).toBe('no gateway has sent anything yet')
  })

  it('names each hole, up to a number, and lost notes', () => {
    const holes = Array.from({ length: 25 }, (_, at) => ({ ...hole, zone: at === 0 ? null : 'z' }))
    const lines = textOf({ ...complete, missing: 50, holes, lostNotes }).split('\n')
    expect(lines[0]).toMatch(/50 missing, 2 notes lost/)
    const times = '2026-01-01T00:00:00.000Z to ?'
    expect(lines[1]).toBe(`  missing: sequence 3..4 (2) of run 7, ${times}: none`)
    expect(lines[2]).toBe(`  missing: zone z 3..4 (2) of run 7, ${times}: none`)
    expect(lines.slice(-2)).toEqual([
      '  and 5 holes more; --json lists all',
      '  notes 1..2 of the outbox are lost (gone)',
    ])
  })

  it('says how many events no heartbeat claims yet', () => {
    expect(textOf({ ...complete, unproven: 7 })).toMatch(/, 7 behind the newest heartbeat$/)
    const ofBoth = { ...complete, unproven: 7, forgotten: 2 }
    const said = /, 5 behind the newest heartbeat, 2 of a run that a restored outbox forgot$/
    expect(textOf(ofBoth)).toMatch(said)
  })

  it('says when Kafka got a heartbeat, where the clock that wrote it may be wrong', () => {
    const said = 'gw: complete up to 1970-01-01T00:00:09.000Z by its clock (Kafka got that at 2026-'
    expect(textOf({ ...complete, time: 9000 })).toContain(said)
    expect(textOf({ ...complete, heardAt: Date.UTC(2026, 0, 2, 0, 0, 59) })).not.toContain('clock')
  })

  it('lets no name steer the terminal', () => {
    expect(textOf({ ...complete, gateway: 'g\u001b[2J' })).not.toContain('\u001b')
  })

  it('tells of values that are not ours', () => {
    expect(describeReport(createReport([complete], 3, 0))).toMatch(
      /3 values in the topics are not ours/,
    )
  })
})
