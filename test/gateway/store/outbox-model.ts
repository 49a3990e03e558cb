import type { Database } from 'better-sqlite3'
import { expect } from 'vitest'
import { createEventIds } from '../../../config/event/event-id.ts'
import type { Reading, SensorReading } from '../../../config/event/sensor-reading.ts'
import { bellFile, readBell } from '../../../gateway/store/file/bell.ts'
import type { DeadLetter, OutgoingNote } from '../../../gateway/store/notes/note-log.ts'
import { type Outbox, openOutbox } from '../../../gateway/store/outbox.ts'
import { readOutbox } from './fixture.ts'

type UnreleasedMessage = { client: string; packet: number; hash: Buffer }
type Expected = Pick<OutgoingNote, 'kind' | 'content'>

/** The expected content of an outbox: plain lists without a file, transactions or failures. */
export class Model {
  /** The stored events, and the sequence of the last event ever stored. */
  events: SensorReading[] = []
  last = 0
  notes: Expected[] = []
  unreleased = new Map<string, UnreleasedMessage>()
  epoch = 0
  heads = new Map<string, number>()
  changedZones = new Set<string>()
  previous: { epoch: number; heads: Map<string, number> } | null = null

  begin(epoch: number): void {
    const firstSequence = this.last + 1
    const known = this.epoch && { epoch: this.epoch, lastSequence: this.last }
    const previous = known ? { ...known, zones: sorted(this.heads) } : null
    this.notes.push({ kind: 'epoch', content: { epoch, firstSequence, previous } })
    this.epoch = epoch
    this.heads = new Map()
    this.changedZones = new Set()
  }

  add(readings: Reading[], deadLetters: DeadLetter[], changes: Change[]): void {
    for (const reading of readings) {
      const sequence = ++this.last
      const zoneSequence = (this.heads.get(reading.zone) ?? 0) + 1
      this.heads.set(reading.zone, zoneSequence)
      this.changedZones.add(reading.zone)
      const id = createEventIds('gw', this.epoch)(sequence)
      this.events.push({ ...reading, id, gateway: 'gw', epoch: this.epoch, sequence, zoneSequence })
    }
    for (const { payload, ...rest } of deadLetters) {
      const content = { ...rest, payload: Buffer.from(payload).toString('base64') }
      this.notes.push({ kind: 'deadletter', content })
    }
    for (const { kind, client, packet, hash } of changes) {
      const key = `${client} ${packet}`
      if (kind === 'remember') this.unreleased.set(key, { client, packet, hash })
      else if (kind === 'release') this.unreleased.delete(key)
      else for (const [k, v] of this.unreleased) if (v.client === client) this.unreleased.delete(k)
    }
  }

  prune(upTo: number): void {
    this.events = this.events.filter(({ sequence }) => sequence > upTo)
  }

  drop(upTo: number): void {
    const dropped = this.events.filter(({ sequence }) => sequence <= upTo)
    for (const epoch of new Set(dropped.map(event => event.epoch))) {
      const events = dropped.filter(event => event.epoch === epoch)
      const zones = [...new Set(events.map(({ zone }) => zone))].map(zone => {
        const inZone = events.filter(event => event.zone === zone)
        const numbers = inZone.map(event => event.zoneSequence)
        return [zone, Math.min(...numbers), numbers.length]
      })
      const [from, to] = [events[0]!.sequence, events.at(-1)!.sequence]
      const content = { epoch, from, to, count: events.length, zones, reason: 'test' }
      this.notes.push({ kind: 'tombstone', content: comparable(content) })
    }
    this.prune(upTo)
  }

  writeZoneHeads(): void {
    const zones = sorted(new Map([...this.changedZones].map(zone => [zone, this.heads.get(zone)!])))
    const content = { epoch: this.epoch, lastSequence: this.last, zones }
    this.notes.push({ kind: 'heads', content })
    this.changedZones = new Set()
  }
}

/** A real outbox, and its database connection, with which commands make commits fail. */
export class Real {
  file: string
  outbox!: Outbox
  readonly newest: () => Database
  constructor(file: string, newest: () => Database) {
    this.file = file
    this.newest = newest
    this.open()
  }
  open(): void {
    this.outbox = openOutbox({ file: this.file, gateway: 'gw' })
  }
  check(model: Model): void {
    const { events, notes } = readOutbox(this.file)
    expect(events).toEqual(model.events)
    expect(notes.map(({ sequence }) => sequence)).toEqual(model.notes.map((_, at) => at + 1))
    expect(notes.map(({ kind, content }) => ({ kind, content: comparable(content) }))).toEqual(
      model.notes,
    )
    const { unreleased, lastSequence, epoch, store } = this.outbox
    expect(lastSequence).toBe(model.last)
    expect(unreleased.count).toBe(model.unreleased.size)
    for (const { client, packet, hash } of model.unreleased.values()) {
      expect(unreleased.has(client, packet, hash)).toBe(true)
    }
    const mark = { store, epoch, sequence: lastSequence, noteSequence: notes.length }
    expect(readBell(bellFile(this.file))).toEqual(mark)
  }
}

export type Change = { kind: 'remember' | 'release' | 'forget' } & UnreleasedMessage

function sorted(heads: Map<string, number>) {
  return [...heads].sort(byName)
}

const byName = ([a]: [string, ...number[]], [b]: [string, ...number[]]) => (a < b ? -1 : 1)

/** A note's content with sorted zones: the order of zones in a note has no meaning. */
function comparable(content: Record<string, unknown>): Record<string, unknown> {
  const { zones, previous } = content as {
    zones?: [string, ...number[]][]
    previous?: unknown
  }
  const order = (list: [string, ...number[]][]) => list.toSorted(byName)
  return {
    ...content,
    ...(zones && { zones: order(zones) }),
    ...(previous ? { previous: comparable(previous as Record<string, unknown>) } : {}),
  }
}
