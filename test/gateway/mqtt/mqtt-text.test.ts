import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  matchesFilter,
  textFault,
  topicFilterFault,
  topicNameFault,
} from '../../../gateway/mqtt/mqtt-text.ts'

const level = fc.constantFrom('', 'a', 'b', '$c', 'é')
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map(levels => levels.join('/'))
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'))

/** The rules of section 4.7 as a regular expression. */
function expressionOf(text: string): RegExp {
  const levels = text.split('/')
  const isOpen = levels.at(-1) === '#'
  const fixed = (isOpen ? levels.slice(0, -1) : levels).map(part =>
    part === '+' ? '[^/]*' : part.replace('$', '\\$'),
  )
  const end = isOpen ? (fixed.length === 0 ? '.*' : '(/.*)?') : ''
  const noDollar = /^[+#]/.test(text) ? '(?!\\$)' : ''
  return new RegExp(`^${noDollar}${fixed.join('/')}${end}$`)
}

describe('texts of MQTT', () => {
  it('match filters as section 4.7 says', () => {
    fc.assert(
      fc.property(filter, topic, (wanted, name) => {
        expect(matchesFilter(wanted, name)).toBe(expressionOf(wanted).test(name))
      }),
      { numRuns: 2000 },
    )
  })

  it('are well-formed UTF-8 without U+0000', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const fault = textFault(Buffer.from(text))
        expect(fault === null).toBe(!text.includes('\u0000'))
      }),
    )
    expect(textFault(Buffer.from('eda080', 'hex'))).toContain('UTF-8')
  })

  it('are names without wildcards, and filters with wildcards as complete levels', () => {
    for (const name of ['a', '/', '$x', ' ', 'a//b']) {
      expect(topicNameFault(Buffer.from(name))).toBe(null)
      expect(topicFilterFault(Buffer.from(name))).toBe(null)
    }
    for (const wildcard of ['#', '+', '+/+', 'a/#', '/#', '+/a/+', '//+']) {
      expect(topicNameFault(Buffer.from(wildcard))).toContain('wildcard')
      expect(topicFilterFault(Buffer.from(wildcard))).toBe(null)
    }
    for (const wrong of ['a#', '#/a', 'a+', '+a', '++', '+#', '']) {
      expect(topicFilterFault(Buffer.from(wrong))).not.toBe(null)
    }
  })
})
