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

/** Judges a store with events 11 to 20 of 20 and notes from 5 on; the others are delivered. */
function judged(more: Partial<Parameters<typeof judgeDeletions>[0]> = {}) {
  const promises = createStorePromises()
  promises.add({ deleting: { readings: 10, notesBefore: 5 } })
  const faults: string[] = []
  const lost = judgeDeletions(
    {
      ...{ key: KEY, promises, position: { next: 11, nextNote: 5 } },
      ...{ events: eventsFrom(11, 20), notes: [], firstStoredNote: 5 },
      ...more,
    },
    fault => faults.push(fault),
  )
  return { lost, faults }
}

it('delivered events may be deleted; deletions after the saved position are losses', () => {
  expect(judged()).toEqual({ lost: 0, faults: [] })
  expect(judged({ position: { next: 9, nextNote: 5 } })).toEqual({ lost: 2, faults: [] })
  expect(judged({ position: { next: 11, nextNote: 2 } })).toEqual({ lost: 3, faults: [] })
})

it('undelivered events may be deleted only if a tombstone names them', () => {
  const position = { next: 4, nextNote: 5 }
  expect(judged({ position, notes: [tombstone(1, 10)] })).toEqual({ lost: 0, faults: [] })
  expect(judged({ position, notes: [tombstone(6, 10)] })).toEqual({ lost: 2, faults: [] })
})

it('deletions that were not requested, or in the middle, are faults', () => {
  expect(judged({ events: eventsFrom(12, 20) }).faults).toEqual([
    'events before 12 deleted without a request',
  ])
  const middle = [...eventsFrom(11, 13), ...eventsFrom(15, 20)]
  expect(judged({ events: middle })).toEqual({ lost: 1, faults: ['events missing after 13'] })
})

it('a tombstone must name exactly the deleted events and their zones', () => {
  expect(judged({ notes: [tombstone(1, 11)] }).faults).toEqual(['a tombstone names 1 to 11'])
  const wrong = tombstone(1, 10)
  wrong.content.zones = [['z0', 1, 10]]
  expect(judged({ notes: [wrong] }).faults).toEqual(['a tombstone from 1 names other zones'])
})
