import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { finerZonesCure, partsNeeded } from '../../../cloud-bridge/zones/finer-zones.ts'
import { defaults, loadConfig, type Route } from '../../../config/config.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { compileRoutes, type MessageOrigin } from '../../../gateway/ingest/routes.ts'

const building = defaults.ingest.routes[0]!
const load = (zone: string, share = 0.6, partitions = 12) => {
  return { zone, partitions, eventsShare: share, bytesShare: 0, eventsPerSecond: 100 }
}

/** The routes after an operator applied the cure by hand. */
function applyCure(routes: Route[], zone: string): Route[] {
  const cure = finerZonesCure(load(zone), routes)
  const rules = cure.replace(/^Give it finer zones: /, '').replace(/, and start the [^{}]*$/, '')
  const after: (Route | Route[])[] = [...routes]
  for (const rule of rules.split('; ')) {
    const [, where, position, text] =
      /^(before|instead of) ingest\.routes\[(\d+)\] write (- .*)$/.exec(rule)!
    const [route] = parse(text!) as [Route]
    const index = Number(position)
    after[index] = where === 'before' ? [route, routes[index]!] : route
  }
  const env = { SLUICE_INGEST_ROUTES: JSON.stringify(after.flat()) }
  const loaded = loadConfig({ env })
  if ('faults' in loaded) throw new Error(JSON.stringify(loaded.faults))
  return [...loaded.config.ingest.routes]
}

const zonesOf = (routes: Route[], topicOf: (device: string) => string) => {
  const routeOf = compileRoutes(routes)
  const origins = Array.from({ length: 200 }, (_, i) => routeOf(topicOf(`s${i}`)) as MessageOrigin)
  return new Set(origins.map(({ zone }) => zone))
}

describe('the routes of the cure', () => {
  it('give the hot zone finer zones, and leave the other zones unchanged', () => {
    const after = applyCure([building], 'z7')
    const parts = zonesOf(after, device => `building/hq/zone/z7/sensor/${device}`)
    expect(parts.size).toBe(partsNeeded(load('z7')))
    for (const part of parts) expect(part).toMatch(/^z7\/\d+$/)
    expect(zonesOf(after, device => `building/hq/zone/z8/sensor/${device}`)).toEqual(
      new Set(['z8']),
    )
    const text = finerZonesCure(load('z7', 0.9, 3), [building])
    expect(text).toBe(
      'Give it finer zones: before ingest.routes[0] write - { topic: ' +
        "'building/{site}/zone/z7/sensor/{device}', format: 'json', zone: 'z7/{device%2}' }, " +
        'and start the gateway again',
    )
  })

  it.each<[title: string, route: Route, zone: string, topic: string]>([
    [
      'a constant zone',
      { topic: 'b/{site}/{device}', format: 'json', zone: "it's 1" },
      "it's 1",
      'b/hq/',
    ],
    [
      'a level of another name',
      { ...building, topic: '{site}/{area}/{device}', zone: '{area}' },
      'é $&',
      'hq/é $&/',
    ],
    ['parts', { ...building, topic: 'p/{site}/{device}', zone: 'z7/{device%2}' }, 'z7/1', 'p/hq/'],
    [
      'a room',
      { ...building, topic: '{site}/{a}/{b}/{device}', zone: '{a}.{b}' },
      'x.y',
      'hq/x/y/',
    ],
    [
      'more of a route',
      { ...building, lane: 'a', time: { field: 'x, y', unit: 's' } },
      'z7',
      'building/hq/zone/z7/sensor/',
    ],
  ])('split %s', (_, route, zone, topic) => {
    const topicOf = (device: string) => topic + device
    const before = zonesOf([route], topicOf)
    expect(before).toContain(zone)
    const after = applyCure([route], zone)
    expect(zonesOf(after, topicOf).size).toBeGreaterThan(2 * before.size)
    const { topic: _topic, zone: _zone, ...rest } = route
    expect(after[0]).toMatchObject(rest)
  })

  it('are several when several routes yield the zone, without unreachable routes', () => {
    const other: Route = { topic: 'x/{site}/{zone}/{device}', format: 'json' }
    const after = applyCure([building, other], 'z7')
    expect(after.map(({ zone }) => zone !== undefined)).toEqual([true, false, true, false])
    // An earlier route takes the topics of z7 and yields another zone.
    const z7: Route = { ...building, topic: 'building/{site}/zone/z7/sensor/{device}', zone: 'old' }
    expect(applyCure([z7, building, other], 'z7')).toHaveLength(4)
  })

  it.each<[title: string, route: Route, zone: string]>([
    ['one device', { ...building, topic: '{site}/{device}', zone: 'z7/{device}' }, 'z7/s1'],
    ['a device without level', { ...building, topic: '{site}/{zone}/x', device: 'd' }, 'z7'],
    ['another zone', { ...building, topic: '{site}/{device}', zone: 'z8' }, 'z7'],
    ['a zone that no level can be', building, 'z7/0'],
    ['braces', building, '{site}'],
    ['a name that would get too long', building, 'z'.repeat(120)],
  ])('are none for %s', (_, route, zone) => {
    expect(finerZonesCure(load(zone), [route])).toMatch(/^No route can split the zone/)
  })
})

describe('the number of parts', () => {
  it('keeps the load of every partition below its limit', () => {
    for (const [share, partitions] of [
      [0.9, 3],
      [0.5, 6],
      [0.6, 12],
      [0.2, 12],
    ] as const) {
      const parts = partsNeeded(load('z7', share, partitions))
      const counts = new Array<number>(partitions).fill(0)
      for (let i = 0; i < parts; i++) counts[partitionOf(Buffer.from(`z7/${i}`), partitions)]!++
      expect((Math.max(...counts) * share) / parts).toBeLessThanOrEqual(1.5 / partitions)
    }
  })

  it('is bounded', () => {
    expect(partsNeeded(load('z7', 1, 10_000))).toBeLessThanOrEqual(64)
  })
})
