import { describe, expect, it } from 'vitest'
import { createReport, describeReport, exitCodeOf } from '../../../../cloud-bridge/ledger/report.ts'
import { assess, gatewayWith, note, STORE, without } from '../gateway-fixture.ts'

const LATER_MS = 600_000

describe('a retired store', () => {
  const gateway = gatewayWith('abcabc')
  gateway.heartbeat()
  const { notes, events, nowMs: deadMs } = gateway
  const retiredMs = deadMs + LATER_MS
  const content = { stores: [STORE], reason: 'the card burnt' }
  const retired = note('retired', content, { origin: 'operator', at: retiredMs })
  const dead = [...notes, ...without(events, 2, 5)]
  const judged = (arrivals: Parameters<typeof assess>[0], more = {}) => {
    const found = assess(arrivals, { nowMs: retiredMs + 1000, ...more })
    return { ...found, code: exitCodeOf(createReport([found], 0, 0)) }
  }

  it('has one hole with reason and date, and the verdict is incomplete', () => {
    expect(judged(dead)).toMatchObject({ code: 1, missing: 2, state: 'unproven' })
    const found = judged([...dead, retired])
    expect(found).toMatchObject({ code: 1, missing: 0, holes: [], state: 'retired' })
    const hole = { store: STORE, reason: 'the card burnt', to: retiredMs, numbers: 2 }
    expect(found.retired).toMatchObject([{ ...hole, isCovered: true }])
    expect(found.retired[0]!.runs).toEqual([{ run: 1, lastSequence: 6 }])
    const text = describeReport(createReport([found], 0, 0))
    expect(text).toMatch(/retired: store aa at 2027-.*: the card burnt; open since .*: 2 known num/)
    expect(judged([...notes, ...events, retired])).toMatchObject({ code: 1, state: 'retired' })
  })

  it('is done with when Kafka keeps no readings of its time any more', () => {
    const gone = new Map([[0, retiredMs + 1]])
    const found = judged([...dead, retired], { logStarts: gone })
    expect(found).toMatchObject({ code: 0, missing: 0, retired: [{ isCovered: false }] })
    const kept = new Map([...gone, [1, retiredMs - 1]])
    expect(judged([...dead, retired], { logStarts: kept }).code).toBe(1)
  })

  it('does not keep the gateway from being complete beside another store', () => {
    const at = retiredMs + 900
    const other = { sequence: 1, run: 7, store: 'cc', at }
    const fresh = note('epoch', { epoch: 7, firstSequence: 1, previous: null }, other)
    expect(judged([...dead, fresh])).toMatchObject({ state: 'unproven' })
    const found = judged([...dead, fresh, retired], { logStarts: new Map([[0, retiredMs + 1]]) })
    expect(found).toMatchObject({ code: 0, state: 'complete', problems: [] })
  })

  it('is judged again when it is heard after the note, from its last known number on', () => {
    const at = retiredMs + 500
    const beat = (last: number) =>
      note('heads', { epoch: 1, lastSequence: last, zones: [['a', last - 4]] }, { sequence: 9, at })
    const event = { ...events.at(-1)!, zone: 'a', appendTimeMs: at }
    const more = [7, 8].map(sequence => ({ ...event, sequence, zoneSequence: sequence - 4 }))
    const options = { awaitedMaxMs: 100 }
    const lacking = judged([...dead, retired, beat(8), more[0]!], options)
    expect(lacking).toMatchObject({ missing: 1, retired: [{ numbers: 2 }] })
    const found = judged([...dead, retired, beat(8), ...more], options)
    expect(found).toMatchObject({
      missing: 0,
      state: 'complete',
      retired: [{ numbers: 2, runs: [] }],
    })
    // Nothing was open: the store only seemed to be dead.
    expect(judged([...notes, ...events, retired, beat(8), ...more])).toMatchObject({ code: 0 })
  })

  it('has a hole when its notes are gone, although it goes on in another run', () => {
    const other = gatewayWith('aaa')
    other.start()
    const left = [other.event('a'), other.heartbeat()]
    const at = other.nowMs + 500
    const early = note('retired', content, { origin: 'operator', at })
    const later = <T extends { appendTimeMs: number }>(arrival: T) => ({
      ...arrival,
      appendTimeMs: at + 1,
    })
    const next = [later(other.start()), other.event('a'), other.heartbeat()]
    const kinds = assess([...left, ...next]).problems.map(({ kind }) => kind)
    expect(kinds).toContain('notes gone')
    const found = assess([...left, early, ...next])
    expect(found).toMatchObject({ problems: [], retired: [{ store: STORE, isCovered: true }] })
    expect(exitCodeOf(createReport([found], 0, 0))).toBe(1)
  })

  it('counts an arrival before the note, in whatever order the topics are read', () => {
    const arrivals = [...dead, retired]
    for (const order of [arrivals, arrivals.toReversed()]) {
      expect(judged(order)).toMatchObject({ missing: 0, retired: [{ numbers: 2 }] })
    }
  })
})
