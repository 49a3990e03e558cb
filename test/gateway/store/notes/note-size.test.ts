import { describe, expect, it } from 'vitest'
import {
  jsonBytes,
  limitZones,
  NOTE_MAX_BYTES,
  splitEpochEnd,
} from '../../../../gateway/store/notes/note-size.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

const zoneNames = (count: number, length: number) =>
  Array.from({ length: count }, (_, number) => String(number).padStart(length, 'ü'))

describe('the end of an epoch with very many zones', () => {
  it('is split into ends within the limit, which together name every zone once, in order', () => {
    const zones = zoneNames(3000, 300).map(zone => [zone, 7] as const)
    const parts = splitEpochEnd({ epoch: 1, lastSequence: 9, zones })
    expect(parts.length).toBeGreaterThan(1)
    for (const part of parts) {
      expect(part).toMatchObject({ epoch: 1, lastSequence: 9 })
      expect(jsonBytes(part)).toBeLessThanOrEqual(NOTE_MAX_BYTES)
    }
    expect(parts.flatMap(part => part.zones)).toEqual(zones)
    expect(splitEpochEnd({ epoch: 1, lastSequence: 9, zones: [] })).toHaveLength(1)
  })

  it('is named by notes of the new run: all under the former id after a rename', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const first = openOutbox({ file, gateway: 'gw' })
    const names = zoneNames(1500, 150)
    first.commit({ readings: names.map(zone => reading(zone)) })
    first.close()
    const second = openOutbox({ file, gateway: 'gw' })
    second.close()
    const ofRun = (run: number) => readOutbox(file).notes.filter(note => note.run === run)
    const [heads, epoch] = ofRun(second.epoch)
    expect(heads).toMatchObject({ kind: 'heads', gateway: 'gw', content: { epoch: first.epoch } })
    const previous = epoch!.content.previous as { zones: unknown[] }
    expect((heads!.content.zones as unknown[]).length + previous.zones.length).toBe(names.length)

    const third = openOutbox({ file, gateway: 'gw' })
    third.commit({ readings: names.map(zone => reading(zone)) })
    third.close()
    const fourth = openOutbox({ file, gateway: 'renamed' })
    fourth.close()
    const kinds = ofRun(fourth.epoch).map(({ kind, gateway }) => [kind, gateway])
    expect(kinds).toEqual([
      ['heads', 'gw'],
      ['heads', 'gw'],
      ['epoch', 'renamed'],
    ])
  })
})

describe('a note about one group with very long names of zones', () => {
  it('leaves the zones out, and counts them', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    outbox.commit({ readings: zoneNames(1000, 200).map(zone => reading(zone)) })
    outbox.commit({ readings: [reading('z')] })
    outbox.pruning.drop({ sequence: 1, to: 1000 }, null, 'a bound')
    outbox.close()
    const tombstone = readOutbox(file).notes.find(({ kind }) => kind === 'tombstone')!
    expect(tombstone.content).toMatchObject({ from: 1, to: 1000, zones: [], zonesLeftOut: 1000 })
    const content = { zones: [['z', 1, 1]], reason: 'r' }
    expect(limitZones(content)).toBe(content)
  })
})
