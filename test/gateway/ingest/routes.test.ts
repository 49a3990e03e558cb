import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaults, type Route } from '../../../config/config.ts'
import { compileRoutes, type MessageOrigin } from '../../../gateway/ingest/routes.ts'

const wide: Route = { topic: '{site}/{zone}/{device}', format: 'json' }
const narrow: Route = { topic: 'hq/{zone}/door', format: 'json', site: 'main', device: 'd/1' }

describe('routes', () => {
  it('take site, zone and device from placeholders', () => {
    const [route] = defaults.ingest.routes
    const place = { route, site: 'hq', zone: 'z 1', device: 'é' }
    expect(compileRoutes(defaults.ingest.routes)('building/hq/zone/z 1/sensor/é')).toEqual(place)
  })

  it('take site, zone and device from constants', () => {
    const routed = compileRoutes([narrow])('hq/z/door')
    expect(routed).toEqual({ route: narrow, site: 'main', zone: 'z', device: 'd/1' })
    expect(routed).toHaveProperty('route', narrow)
  })

  it('are tried in order', () => {
    expect(compileRoutes([narrow, wide])('hq/z/door')).toMatchObject({ route: narrow })
    expect(compileRoutes([wide, narrow])('hq/z/door')).toMatchObject({ route: wide })
    expect(compileRoutes([narrow, wide])('hq/z/window')).toMatchObject({ route: wide })
  })

  it.each(['', 'a', 'a/b', 'a/b/c/d', '/a/b/c', 'a/b/c/', '/'.repeat(65_535)])(
    'do not match a topic with other levels (%#)',
    topic => expect(compileRoutes([wide])(topic)).toEqual({ reason: 'no route matches topic' }),
  )

  it('do not match other texts', () => {
    const route = compileRoutes([narrow])
    for (const topic of ['HQ/z/door', 'hq/z/doors', 'hq/z/', 'hq\ufffd/z/door']) {
      expect(route(topic)).toEqual({ reason: 'no route matches topic' })
    }
  })

  it.each([
    ['a//c', 'zone is empty'],
    ['/b/c', 'site is empty'],
    ['a/b/', 'device is empty'],
    [`a/${'z'.repeat(129)}/c`, 'zone is longer than 128 characters'],
    ['a/b/c\0', 'device holds a control character'],
    ['a/lob\u200bby/c', 'zone holds the invisible character U+200B'],
    ['a/lobby\u202e/c', 'zone holds the invisible character U+202E'],
    ['\ufeffa/b/c', 'site holds the invisible character U+FEFF'],
    ['a/b/c\u2060', 'device holds the invisible character U+2060'],
    ['a/b/\u3164', 'device holds the invisible character U+3164'],
    ['a/b/c\u{e0041}', 'device holds the invisible character U+E0041'],
    ['a/b\u2028/c', 'zone holds the invisible character U+2028'],
    ['a/b\u001f/c', 'zone holds a control character'],
    ['a/b\u009b/c', 'zone holds a control character'],
    ['a\ufffd/b/c', 'site is not valid UTF-8'],
    ['a/b/\ud800', 'device is not valid UTF-8'],
  ])('give a reason for %j', (topic, reason) => {
    expect(compileRoutes([wide])(topic)).toEqual({ reason })
  })

  it('do not try the next route when site, zone or device is invalid', () => {
    const next: Route = { topic: '{site}//{device}', format: 'json', zone: 'none' }
    expect(compileRoutes([wide, next])('a//c')).toEqual({ reason: 'zone is empty' })
  })

  it('take 128 characters', () => {
    const zone = 'z'.repeat(128)
    expect(compileRoutes([wide])(`a/${zone}/c`)).toMatchObject({ zone })
  })

  it('throw for a pattern that the configuration would refuse', () => {
    expect(() => compileRoutes([{ topic: 'a/+', format: 'json' }])).toThrow(
      'contains the wildcard +',
    )
  })

  it('give back the parts of a topic, or a reason', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 140 })
    fc.assert(
      fc.property(fc.tuple(text, text, text), texts => {
        const routing = compileRoutes([wide])(texts.join('/'))
        if ('reason' in routing) return
        expect([routing.site, routing.zone, routing.device]).toEqual(texts)
      }),
    )
  })
})

describe('finer zones', () => {
  const general: Route = { topic: 'b/{site}/{zone}/{device}', format: 'json' }
  const routed = (topic: string, ...finer: Partial<Route>[]) =>
    compileRoutes([...finer.map(one => ({ ...general, ...one })), general])(topic)

  it('are made of topic levels, for one zone and no other', () => {
    const z7 = { topic: 'b/{site}/z7/{device}', zone: 'z7/{device}' }
    expect(routed('b/hq/z7/s1', z7)).toMatchObject({ site: 'hq', zone: 'z7/s1', device: 's1' })
    expect(routed('b/hq/z8/s1', z7)).toMatchObject({ site: 'hq', zone: 'z8', device: 's1' })
  })

  it('are made of a level that has no other use', () => {
    const rooms = { topic: 'b/{site}/z7/{room}/{device}', zone: 'z7/{room}' }
    expect(routed('b/hq/z7/east/s1', rooms)).toMatchObject({ zone: 'z7/east', device: 's1' })
    expect(routed('b/hq/z7//s1', rooms)).toEqual({ reason: 'room is empty' })
  })

  it('are a fixed number of parts, each device always in the same one', () => {
    const all = { topic: 'b/{site}/{zone}/{device}', zone: '{zone}/{device%4}' }
    const zoneOf = (device: string) => (routed(`b/hq/z7/${device}`, all) as MessageOrigin).zone
    // The CRC-32 of "123456789" is 0xcbf43926, the check value of its specification.
    expect(zoneOf('123456789')).toBe(`z7/${0xcbf43926 % 4}`)
    const devices = Array.from({ length: 40 }, (_, i) => zoneOf(`s${i}`)).sort()
    const counts = Object.values(Object.groupBy(devices, zone => zone)).map(of => of!.length)
    expect([...new Set(devices)]).toEqual(['z7/0', 'z7/1', 'z7/2', 'z7/3'])
    expect(Math.max(...counts)).toBeLessThan(15)
  })

  it('are made of text and several levels, as site and device may be too', () => {
    const rack = {
      topic: 'r/{row}/{slot}',
      site: 'dc {row}',
      zone: '{row}',
      device: '{row}-{slot}',
    }
    expect(routed('r/a/7', rack)).toMatchObject({ site: 'dc a', zone: 'a', device: 'a-7' })
  })

  it('are refused when they get too long', () => {
    const z7 = { topic: 'b/{site}/z7/{device}', zone: 'z7/{device}' }
    const reason = 'zone is longer than 128 characters'
    expect(routed(`b/hq/z7/${'d'.repeat(126)}`, z7)).toEqual({ reason })
    expect(routed(`b/hq/z7/${'d'.repeat(125)}`, z7)).toHaveProperty('device')
  })

  it('throw when they are made of a placeholder that the topic does not have', () => {
    expect(() => routed('x', { topic: 'b/{site}/z7/{device}', zone: '{rom}' })).toThrow(
      'contains {rom}',
    )
  })
})

describe('the cache of routes', () => {
  const topic = (i: number) => `a/b/${i}`

  it('contains topics with a route, up to a number of topics', () => {
    const route = compileRoutes([wide], { maxTopics: 3, maxCharacters: 1000 })
    const first = route(topic(0))
    route(topic(1))
    route(topic(2))
    for (let i = 0; i < 9; i += 1) route(`nowhere/${i}`)
    expect(route(topic(0))).toBe(first)
    route(topic(3))
    expect(route(topic(0))).not.toBe(first)
    expect(route(topic(0))).toEqual(first)
  })

  it('contains topics up to a number of characters', () => {
    const route = compileRoutes([wide], { maxTopics: 1000, maxCharacters: 14 })
    const first = route(topic(0))
    route(topic(1))
    expect(route(topic(0))).toBe(first)
    route(topic(2))
    expect(route(topic(0))).not.toBe(first)
  })

  it('never changes a result', () => {
    const small = compileRoutes([narrow, wide], { maxTopics: 2, maxCharacters: 20 })
    const level = fc.constantFrom('hq', 'z', 'door', '', 'x')
    const topics = fc.array(fc.array(level, { maxLength: 4 }).map(levels => levels.join('/')))
    fc.assert(
      fc.property(topics, many => {
        for (const one of many) expect(small(one)).toEqual(compileRoutes([narrow, wide])(one))
      }),
    )
  })
})
