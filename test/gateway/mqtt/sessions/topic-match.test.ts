import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchesFilter } from '../../../../gateway/mqtt/mqtt-text.ts'
import { createTopicMatch } from '../../../../gateway/mqtt/sessions/topic-match.ts'

describe('a topic match', () => {
  it.each([
    ['sport/tennis/player1/#', ['sport/tennis/player1', 'sport/tennis/player1/score/x'], ['sport']],
    ['sport/+', ['sport/', 'sport/x'], ['sport', 'sport/x/y']],
    ['+/+', ['/finance', 'a/b'], ['a', '$SYS/x']],
    ['#', ['a', '/', 'a/b/c'], ['$SYS/x']],
    ['$SYS/#', ['$SYS/x', '$SYS'], ['a']],
  ])('of %s follows the specification', (filter, matching, others) => {
    const matches = createTopicMatch([filter])
    expect([matching.filter(matches), others.filter(matches)]).toEqual([matching, []])
  })

  it('of several filters is that of any of them', () => {
    const level = fc.constantFrom('a', 'b', '', '$x')
    const topic = fc.array(level, { minLength: 1, maxLength: 4 })
    const filter = fc
      .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }), fc.boolean())
      .map(([levels, hasRest]) => (hasRest || levels.length === 0 ? [...levels, '#'] : levels))
    fc.assert(
      fc.property(fc.array(filter, { minLength: 1, maxLength: 4 }), topic, (filters, topic) => {
        const [texts, name] = [filters.map(levels => levels.join('/')), topic.join('/')]
        const expected = texts.some(text => matchesFilter(text, name))
        expect(createTopicMatch(texts)(name)).toBe(expected)
      }),
    )
  })
})
