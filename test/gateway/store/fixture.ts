import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  decodeEvent,
  type Reading,
  type SensorReading,
} from '../../../config/event/sensor-reading.ts'
import type { DeadLetter, OutgoingNote } from '../../../gateway/store/notes/note-log.ts'
import { openOutboxReader } from '../../../gateway/store/read/outbox-reader.ts'
import { event } from '../../config/event/events-fixture.ts'

/** A directory that is removed at the end of the scope. */
export function temporary() {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  return {
    dir,
    file: (name: string) => join(dir, name),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** A reading of a zone. The number identifies the reading. */
export function reading(zone: string, number = 0, more: Partial<Reading> = {}): Reading {
  return {
    ...{ site: 'hq', zone, device: 'd1', observedAt: null, clock: 'SYNCED' },
    receivedAt: 1_700_000_000_000 + number,
    measurements: [{ metric: 'n', number, flag: null, text: null, unit: null }],
    source: { topic: `building/hq/zone/${zone}/sensor/d1`, format: 'json' },
    traceparent: null,
    ...more,
  } as Reading
}

/** Readings of few zones, so that each zone gets several. */
export const anyReading: fc.Arbitrary<Reading> = fc
  .tuple(event, fc.constantFrom('z1', 'z2', 'é "quoted"', '__proto__', '1'))
  .map(([{ id, gateway, epoch, sequence, zoneSequence, ...rest }, zone]) => ({ ...rest, zone }))

export const anyDeadLetter: fc.Arbitrary<DeadLetter> = fc.record({
  reason: fc.string(),
  place: fc.string({ unit: 'binary' }).map(value => value.toWellFormed()),
  topic: fc.string({ unit: 'grapheme' }),
  payload: fc.uint8Array({ maxLength: 64 }).map(bytes => Buffer.from(bytes)),
})

/** Reads an outbox as the bridge does: every event in order, and every note. */
export function readOutbox(file: string): { events: SensorReading[]; notes: OutgoingNote[] } {
  const reader = openOutboxReader(file)
  if (!reader) throw new Error(`there is no outbox in ${file}`)
  try {
    const events: SensorReading[] = []
    let next = 1
    for (;;) {
      const group = reader.groupAt(next)
      if (!group) break
      if (!Array.isArray(group.content))
        throw new Error(`group ${group.sequence} cannot be read: ${group.content.reason}`)
      for (const { sequence, zone, value } of group.content) {
        const event = decodeEvent(value)
        if (event.sequence !== sequence || event.zone !== zone)
          throw new Error(
            `event ${sequence}: sequence or zone in the group and in the event differ`,
          )
        events.push(event)
      }
      next = group.sequence + group.count
    }
    const notes: OutgoingNote[] = []
    for (let page = reader.notesFrom(1); page.length > 0; ) {
      notes.push(...page)
      page = reader.notesFrom(page.at(-1)!.sequence + 1)
    }
    return { events, notes }
  } finally {
    reader.close()
  }
}

/** Copies the files as they are now: the state that kill -9 would leave at this moment. */
export function copyStore(from: string, to: string): void {
  for (const suffix of ['', '-wal', '.bell']) {
    if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix)
  }
}
