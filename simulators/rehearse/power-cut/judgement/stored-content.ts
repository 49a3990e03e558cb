import {
  decodeEvent,
  type Reading,
  type SensorReading,
} from '../../../../config/event/sensor-reading.ts'
import type { OutgoingNote } from '../../../../gateway/store/notes/note-log.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'

/** Everything in an outbox, as the bridge reads it. */
export type StoreContent = { store: string; events: SensorReading[]; notes: OutgoingNote[] }

/**
 * Reads events (from a sequence on) and notes of an outbox. Throws an Error for what cannot be
 * read, for zone sequences with gaps, and for a group whose events say something else than it does.
 */
export function readStoreContent(file: string, from = 1): StoreContent {
  const reader = openOutboxReader(file)
  if (!reader) throw new Error('there is no outbox')
  try {
    const events: SensorReading[] = []
    for (let next = from; ; ) {
      const group = reader.groupAt(next)
      if (!group) break
      if (!Array.isArray(group.content)) throw new Error(group.content.reason)
      for (const { sequence, zone, value } of group.content) {
        const event = decodeEvent(value)
        if (event.sequence !== sequence || event.zone !== zone)
          throw new Error('group and event differ')
        events.push(event)
      }
      next = group.sequence + group.count
    }
    const notes: OutgoingNote[] = []
    for (let more = reader.notesFrom(1); more.length > 0; ) {
      notes.push(...more)
      more = reader.notesFrom(more.at(-1)!.sequence + 1)
    }
    if (notes.some(({ content }) => content.reason === 'note checksum differs'))
      throw new Error('a note is damaged')
    checkZones(events, from)
    return { store: reader.store.toString('hex'), events, notes }
  } finally {
    reader.close()
  }
}

// Only a zone that is seen from its beginning must begin at 1, and behind a gap none is.
function checkZones(events: SensorReading[], from: number): void {
  const heads = new Map<string, number>()
  let isSeenFromBeginning = from === 1 && events[0]?.sequence === 1
  let last = from - 1
  for (const { sequence, epoch, zone, zoneSequence } of events) {
    if (sequence > last + 1) {
      heads.clear()
      isSeenFromBeginning = false
    }
    last = sequence
    const name = `${epoch} ${zone}`
    const head = heads.get(name) ?? (isSeenFromBeginning ? 0 : zoneSequence - 1)
    if (zoneSequence !== head + 1) throw new Error(`zone sequence ${zoneSequence} behind ${head}`)
    heads.set(name, zoneSequence)
  }
}

/** What a reading says, without the numbers that the store gave it. */
export function readingText(reading: Reading): string {
  const { site, zone, device, observedAt, receivedAt, clock, measurements, source } = reading
  return JSON.stringify([site, zone, device, observedAt, receivedAt, clock, measurements, source])
}
