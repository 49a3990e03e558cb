import { expect, it } from 'vitest'
import type { SensorReading } from '../../../../../config/event/sensor-reading.ts'
import type { OutgoingNote } from '../../../../../gateway/store/notes/note-log.ts'
import { judgeDeletions } from '../../../../../simulators/rehearse/power-cut/judgement/deletions.ts'
import { createStorePromises } from '../../../../../simulators/rehearse/power-cut/recording/marks.ts'
import { zoneOf } from '../../../../../simulators/rehearse/power-cut/workload/numbered-content.ts'

const KEY = 7

const eventsFrom = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => ({ sequence: from + at }) as SensorReading)

function tombstone(from: number, to: number): OutgoingNote {
  const zones = eventsFrom(from, to).map(({ sequence }) => [zoneOf(KEY, sequence), 0, 1])
  const counts = Object.entries(Object.groupBy(zones, ([zone]) => String(zone)))
  const content = {
    ...{ epoch: 1, from, to, count: to - from + 1, reason: 'full' },
    zones: counts.map(([zone, all]) => [zone, 1, all!.length]),
  }
  return { sequence: 3, kind: 'tombstone', at: 0, content }
}

/** Events 11 to 20 are stored of 20, notes from 5 on; by default all others were delivered. */
function judged(more: Partial<Parameters<typeof judgeDeletions>[0]> = {}) {
  const promised = createStorePromises()
  promised.add({ lettingGo: { readings: 10, notesBefore: 5 } })
  const said: string[] = []
  const lost = judgeDeletions(
    {
      ...{ key: KEY, promised, position: { next: 11, nextNote: 5 } },
      ...{ events: eventsFrom(11, 20), notes: [], firstStoredNote: 5 },
      ...more,
    },
    what => said.push(what),
  )
  return { lost, said }
}

it('what was delivered may be gone, and nothing before a position that is older', () => {
  expect(judged()).toEqual({ lost: 0, said: [] })
  expect(judged({ position: { next: 9, nextNote: 5 } })).toEqual({ lost: 2, said: [] })
  expect(judged({ position: { next: 11, nextNote: 2 } })).toEqual({ lost: 3, said: [] })
})

it('what a tombstone names may be gone, and nothing else', () => {
  const position = { next: 4, nextNote: 5 }
  expect(judged({ position, notes: [tombstone(1, 10)] })).toEqual({ lost: 0, said: [] })
  expect(judged({ position, notes: [tombstone(6, 10)] })).toEqual({ lost: 2, said: [] })
})

it('nothing may be gone that nobody asked for, or from the middle', () => {
  expect(judged({ events: eventsFrom(12, 20) }).said).toEqual(['events before 12 went unasked'])
  const middle = [...eventsFrom(11, 13), ...eventsFrom(15, 20)]
  expect(judged({ events: middle })).toEqual({ lost: 1, said: ['events are gone behind 13'] })
})

it('a tombstone may name only what is gone, and its zones', () => {
  expect(judged({ notes: [tombstone(1, 11)] }).said).toEqual(['a tombstone says 1 to 11'])
  const wrong = tombstone(1, 10)
  wrong.content.zones = [['z0', 1, 10]]
  expect(judged({ notes: [wrong] }).said).toEqual(['a tombstone from 1 names other zones'])
})
