import { describe, expect, it } from 'vitest'
import { type Conflict, createDuplicateCheck } from '../../../cloud-bridge/ledger/duplicates.ts'
import { createReport, describeReport, exitCodeOf } from '../../../cloud-bridge/ledger/report.ts'
import { assess, gatewayWith } from './gateway-fixture.ts'

const eventOf = (sequence: number): Conflict => ({
  ...{ gateway: 'gw', epoch: 1, sequence, zone: 'a', zoneSequence: sequence, receivedAt: 5 },
})

describe('a duplicate', () => {
  it('that differs from the original is named, and the verdict is incomplete', () => {
    const gateway = gatewayWith('abc')
    gateway.heartbeat()
    const { notes, events } = gateway
    const [, second] = events
    const all = [...notes, ...events]
    const codeOf = (found: ReturnType<typeof assess>) => exitCodeOf(createReport([found], 0, 0))
    expect(codeOf(assess([...all, ...events]))).toBe(0)
    for (const change of [{ receivedAt: 1 }, { zone: 'c' }, { zoneSequence: 9 }]) {
      const other = { ...second!, ...change }
      const found = assess([...all, second!, other, other])
      expect(found).toMatchObject({ duplicates: 3, conflicting: 1, conflicts: [change] })
      expect(codeOf(found)).toBe(1)
      expect(describeReport(createReport([found], 0, 0))).toMatch(
        /1 conflicting duplicates\n.*conflicting: sequence 2 of epoch 1 arrived as another event/,
      )
    }
  })

  it('of an event that is no longer in memory is compared in a second read', () => {
    const conflicts: Conflict[] = []
    const check = createDuplicateCheck(conflict => conflicts.push(conflict), 2)
    const all = Array.from({ length: 9 }, (_, index) => eventOf(1 + index * 2048))
    for (const event of all) check.add(event, false)
    expect(check.isPending).toBe(false)
    const other = [{ ...all[0]!, receivedAt: 6 }, { ...all[1]!, zone: 'b' }, all[2]!, all[8]!]
    for (const event of other) check.add(event, true)
    // A late event of a removed block begins no block that would lack the other events.
    check.add({ ...eventOf(2), receivedAt: 7 }, false)
    check.add(all[0]!, true)
    expect([check.isPending, conflicts]).toEqual([true, []])
    let reads = 0
    for (; check.isPending; reads++) {
      const compare = check.openSecondRead()
      for (const event of [...all, ...other, all[0]!]) compare(event)
    }
    // Three blocks, two of which fit into memory at once.
    expect(reads).toBe(2)
    expect(conflicts).toEqual([other[0], other[1]])
  })
})
