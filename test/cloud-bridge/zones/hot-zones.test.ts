import { expect, it } from 'vitest'
import { createHotZones, type HotZone } from '../../../cloud-bridge/zones/hot-zones.ts'

const MINUTE_MS = 60_000
const SIZE = 200

/** Delivers minutes of events: how many events of each zone, and of how many bytes. */
function rig(partitions = 12) {
  let nowMs = 5000
  const log: string[] = []
  const hotZones = createHotZones({
    cureOf: ({ zone }) => `Split ${zone}.`,
    onHot: (zone, alarm) => log.push(`hot ${zone}: ${alarm}`),
    onCool: zone => log.push(`cool ${zone}`),
    nowMs: () => nowMs,
  })
  const deliver = (zones: Record<string, number>, sizes: Record<string, number> = {}) => {
    const events = Object.entries(zones).flatMap(([zone, count]) =>
      Array.from({ length: count }, () => ({ zone, value: { length: sizes[zone] ?? SIZE } })),
    )
    // As the bridge delivers them: many batches, each with several zones.
    for (let at = 0; at < events.length; at += 500) {
      hotZones.delivered({ range: { partitions }, events: events.slice(at, at + 500) })
    }
  }
  return {
    log,
    hotZones,
    deliver,
    minutes(count: number, ...load: Parameters<typeof deliver>) {
      for (let minute = 0; minute < count; minute++) {
        deliver(...load)
        nowMs += MINUTE_MS
      }
    },
    names: () => hotZones.list().map(({ zone }) => zone),
  }
}

/** 20 zones with equally many events, and the zone `zone` with this share of all events. */
function besides(zone: string, share: number, total = 12_000): Record<string, number> {
  const others = Array.from({ length: 20 }, (_, i) => [`other ${i}`, (total * (1 - share)) / 20])
  return Object.fromEntries([[zone, Math.round(total * share)], ...others])
}

it('finds a zone with more than twice an even share in six of ten minutes', () => {
  const { minutes, names, log, hotZones } = rig()
  minutes(5, besides('z7', 0.5))
  expect(names()).toEqual([])
  minutes(1, besides('z7', 0.5))
  expect(names()).toEqual(['z7'])
  expect(hotZones.list()).toEqual<HotZone[]>([
    {
      ...{ zone: 'z7', partitions: 12, eventsShare: 0.5, bytesShare: 0.5, eventsPerSecond: 100 },
      cure: 'Split z7.',
    },
  ])
  minutes(3, besides('z7', 0.5))
  expect(names()).toEqual(['z7'])
  const text =
    'zone z7 has 50 % of events and 50 % of bytes (100 events a second; ' +
    'an even share is 8.3 % for each of 12 partitions). Split z7.'
  expect(log).toEqual([`hot z7: ${text}`])
  expect(hotZones.alarms()).toEqual([text])
})

it('uses the documented limit for each number of partitions', () => {
  const hotAt = (partitions: number, share: number, total = 24_000) => {
    const { minutes, names } = rig(partitions)
    minutes(6, besides('z7', share, total))
    return names().includes('z7')
  }
  expect([hotAt(12, 0.16), hotAt(12, 0.17)]).toEqual([false, true])
  expect([hotAt(3, 0.66), hotAt(3, 0.67)]).toEqual([false, true])
  expect([hotAt(1, 1), hotAt(2, 1)]).toEqual([false, false])
  // With very many partitions an even share is almost zero.
  expect([hotAt(10_000, 0.03, 120_000)]).toEqual([true])
  const { minutes, names } = rig(10_000)
  minutes(6, Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`z${i}`, 4000])))
  expect(names()).toEqual([])
})

it('finds a zone by its bytes alone', () => {
  const { minutes, hotZones } = rig()
  minutes(6, besides('cameras', 0.05), { cameras: 8000 })
  expect(hotZones.list()).toMatchObject([{ zone: 'cameras', eventsShare: 0.05 }])
  expect(hotZones.list()[0]!.bytesShare).toBeCloseTo(0.678, 2)
  const small = rig()
  small.minutes(6, besides('cameras', 0.05, 1000), { cameras: 8000 })
  expect(small.names()).toEqual([])
})

it('finds no hot zone in an idle building, whatever the shares', () => {
  const { minutes, names } = rig()
  minutes(20, { z7: 49 * 60, z8: 3 })
  expect(names()).toEqual([])
  minutes(6, { z7: 51 * 60, z8: 3 })
  expect(names()).toEqual(['z7'])
})

it('finds no hot zone in a backlog that is delivered in few minutes', () => {
  const { minutes, names } = rig()
  minutes(10, besides('z7', 0.5, 600))
  minutes(5, besides('z7', 0.5, 300_000))
  minutes(10, besides('z7', 0.5, 600))
  expect(names()).toEqual([])
})

it('reports the end once, and not while the zone is hot in some minutes', () => {
  const { minutes, names, log } = rig()
  minutes(10, besides('z7', 0.5))
  for (let turn = 0; turn < 10; turn++) {
    minutes(1, besides('z7', 0.01))
    minutes(1, besides('z7', 0.5))
  }
  expect(names()).toEqual(['z7'])
  minutes(9, besides('z7', 0.01))
  expect(names()).toEqual([])
  expect(log.map(line => line.split(':')[0])).toEqual(['hot z7', 'cool z7'])
})

it('ends a hot zone when no events are delivered any more', () => {
  const { minutes, hotZones, log } = rig()
  minutes(10, besides('z7', 0.5))
  hotZones.tick()
  minutes(7, {})
  hotZones.tick()
  expect(log).toHaveLength(1)
  minutes(1, {})
  hotZones.tick()
  expect(log[1]).toBe('cool z7')
  minutes(1000, {})
  expect(hotZones.list()).toEqual([])
})

it('lists the zone with the largest share first', () => {
  const { minutes, names } = rig()
  minutes(6, { ...besides('z7', 0.3), z8: 8000 })
  expect(names()).toEqual(['z8', 'z7'])
})

it('finds one hot zone among very many zones', () => {
  const { deliver, minutes, names, hotZones } = rig()
  for (let minute = 0; minute < 6; minute++) {
    for (let part = 0; part < 5; part++) {
      const zones = Array.from({ length: 1000 }, (_, i) => [`${part} ${i}`, 1])
      deliver({ ...Object.fromEntries(zones), z7: 1000 })
    }
    minutes(1, {})
  }
  expect(names()).toEqual(['z7'])
  expect(hotZones.list()[0]!.eventsShare).toBeGreaterThan(0.49)
  expect(hotZones.list()[0]!.eventsShare).toBeLessThanOrEqual(0.5)
})
