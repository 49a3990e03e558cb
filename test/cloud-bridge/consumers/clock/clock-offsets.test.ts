import { describe, expect, it } from 'vitest'
import { createClockOffsets } from '../../../../cloud-bridge/consumers/clock/clock-offsets.ts'

const note = (from: number, to: number, offsetMs: number, epoch = 1) => ({
  ...{ epoch, from, to, offsetMs },
})

describe('clock offsets', () => {
  it('are found by gateway, epoch and sequence, in any order of reports, duplicates included', () => {
    const offsets = createClockOffsets()
    for (const reported of [note(20, 29, 5), note(1, 9, 7), note(20, 29, 5), note(40, 40, -3)]) {
      offsets.add('gw', reported)
    }
    const sequences = [0, 1, 9, 10, 19, 20, 29, 30, 39, 40, 41]
    const found = sequences.map(sequence => offsets.find('gw', 1, sequence))
    expect(found).toEqual([null, 7, 7, null, null, 5, 5, null, null, -3, null])
    expect(offsets.find('gw', 2, 5)).toBeNull()
    expect(offsets.find('other', 1, 5)).toBeNull()
  })

  it('are bounded: the epoch that was reported first is forgotten first', () => {
    const offsets = createClockOffsets(100)
    for (let epoch = 1; epoch <= 200; epoch++) offsets.add('gw', note(1, 9, epoch, epoch))
    const known = Array.from({ length: 200 }, (_, at) => offsets.find('gw', at + 1, 5))
    expect(known.filter(offsetMs => offsetMs !== null)).toEqual(
      Array.from({ length: 100 }, (_, at) => at + 101),
    )
  })
})
