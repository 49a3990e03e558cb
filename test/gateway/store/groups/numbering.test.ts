import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createNumbering } from '../../../../gateway/store/groups/numbering.ts'

const zone = fc.constantFrom('a', 'b', '__proto__', 'constructor')
const draft = fc.record({ zones: fc.array(zone, { maxLength: 10 }), isCommitted: fc.boolean() })

describe('numbering', () => {
  it('gives numbers without holes, whatever drafts are dropped', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.array(draft), (start, drafts) => {
        const numbering = createNumbering(start)
        const heads = new Map<string, number>()
        let last = start
        for (const { zones, isCommitted } of drafts) {
          const given = numbering.draft()
          const inDraft = new Map(heads)
          const seen = zones.map(name => ({ name, ...given.next(name) }))
          for (const [at, { name, sequence, zoneSequence, zoneIndex }] of seen.entries()) {
            inDraft.set(name, (inDraft.get(name) ?? 0) + 1)
            expect([sequence, zoneSequence]).toEqual([last + at + 1, inDraft.get(name)])
            expect(given.zones[zoneIndex]!.zone).toBe(name)
          }
          for (const { zone: name, first, count } of given.zones) {
            const mine = seen.filter(one => one.name === name).map(one => one.zoneSequence)
            expect(mine).toEqual(Array.from({ length: count }, (_, at) => first + at))
          }
          expect(new Set(given.zones.map(one => one.zone)).size).toBe(given.zones.length)
          if (!isCommitted) continue
          given.commit()
          last += zones.length
          for (const [name, head] of inDraft) heads.set(name, head)
        }
        expect(numbering.last).toBe(last)
        expect(new Map(numbering.heads)).toEqual(heads)
      }),
    )
  })
})
