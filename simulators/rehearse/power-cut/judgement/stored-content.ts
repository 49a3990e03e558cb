import {
  decodeEvent,
  type Reading,
  type SensorReading,
} from '../../../../config/event/sensor-reading.ts'
import type { OutgoingNote } from '../../../../gateway/store/notes/note-log.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'

/** The store id (hex), events and notes of an outbox, as the bridge reads them. */
export type StoreContent = { store: string; events: SensorReading[]; notes: OutgoingNote[] }

/**
 * Reads the notes of an outbox, and its events from the sequence `from` on. Throws an Error for
 * unreadable content, for gaps in zone sequences, and for a group that does not match its events.
 */
export function readStoreContent(file: string, from = 1): StoreContent {
  const reader = openOutboxReader(file)
  if (!reader) throw new Error(`there is no outbox ${file}`)
  try {
    const events: SensorReading[] = []
    for (let next = from; ; ) {
      const group = reader.groupAt(next)
      if (!group) break
      if (!Array.isArray(group.content))
        throw new Error(`group ${group.sequence} cannot be read: ${group.content.reason}`)
      for (const { sequence, zone, value } of group.content) {
        const event = decodeEvent(value)
        if (event.sequence !== sequence || event.zone !== zone)
          throw new Error(
            `event ${event.sequence} of ${event.zone} is stored as ${sequence} of ${zone}`,
          )
        events.push(event)
      }
      next = group.sequence + group.count
    }
    const notes: OutgoingNote[] = []
    for (let more = reader.notesFrom(1); more.length > 0; ) {
      notes.push(...more)
      more = reader.notesFrom(more.at(-1)!.sequence + 1)
    }
    const damaged = notes.find(({ content }) => content.reason === 'note checksum differs')
    if (damaged) throw new Error(`note ${damaged.sequence} is damaged: its checksum differs`)
    checkZones(events, from)
    return { store: reader.store.toString('hex'), events, notes }
  } finally {
    reader.close()
  }
}

// A zone must begin at 1 only if the first event of the outbox is included; after a gap in the
// sequences the next zone sequence is unknown.
function checkZones(events: SensorReading[], from: number): void {
  const heads = new Map<string, number>()
  let hasFirstEvents = from === 1 && events[0]?.sequence === 1
  let last = from - 1
  for (const { sequence, epoch, zone, zoneSequence } of events) {
    if (sequence > last + 1) {
      heads.clear()
      hasFirstEvents = false
    }
    last = sequence
    const name = `${epoch} ${zone}`
    const head = heads.get(name) ?? (hasFirstEvents ? 0 : zoneSequence - 1)
    if (zoneSequence !== head + 1)
      throw new Error(`zone ${zone}: zone sequence ${zoneSequence} follows ${head}`)
    heads.set(name, zoneSequence)
  }
}

/** A reading as text, without the numbers that the store assigns. */
export function readingText(reading: Reading): string {
  const { site, zone, device, observedAt, receivedAt, clock, measurements, source } = reading
  return JSON.stringify([site, zone, device, observedAt, receivedAt, clock, measurements, source])
}
