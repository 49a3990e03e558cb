import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createNumbering } from '../../../../gateway/store/groups/numbering.ts'

const zone = fc.constantFrom('a', 'b', '__proto__', 'constructor')
const draft = fc.record({ zones: fc.array(zone, { maxLength: 10 }), isCommitted: fc.boolean() })

describe('numbering', () => {
  it('gives numbers without gaps, whatever drafts are dropped', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.array(draft), (start, drafts) => {
        const numbering = createNumbering(start)
        const heads = new Map<string, number>()
        let last = start
        for (const { zones, isCommitted } of drafts) {
          const current = numbering.draft()
          const inDraft = new Map(heads)
          const numbered = zones.map(name => ({ name, ...current.next(name) }))
          for (const [at, { name, sequence, zoneSequence, zoneIndex }] of numbered.entries()) {
            inDraft.set(name, (inDraft.get(name) ?? 0) + 1)
            expect([sequence, zoneSequence]).toEqual([last + at + 1, inDraft.get(name)])
            expect(current.zones[zoneIndex]!.zone).toBe(name)
          }
          for (const { zone: name, first, count } of current.zones) {
            const ofZone = numbered.filter(event => event.name === name)
            const zoneSequences = ofZone.map(event => event.zoneSequence)
            expect(zoneSequences).toEqual(Array.from({ length: count }, (_, at) => first + at))
          }
          expect(new Set(current.zones.map(range => range.zone)).size).toBe(current.zones.length)
          if (!isCommitted) continue
          current.commit()
          last += zones.length
          for (const [name, head] of inDraft) heads.set(name, head)
        }
        expect(numbering.last).toBe(last)
        expect(new Map(numbering.heads)).toEqual(heads)
      }),
    )
  })
})
