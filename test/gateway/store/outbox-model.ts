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

/** What an outbox must hold: plain lists, without a file, transactions or failures. */
export class Model {
  /** The events that are there, and the number of the last one ever stored. */
  events: SensorReading[] = []
  last = 0
  notes: Expected[] = []
  unreleased = new Map<string, UnreleasedMessage>()
  epoch = 0
  heads = new Map<string, number>()
  moved = new Set<string>()
  previous: { epoch: number; heads: Map<string, number> } | null = null

  begin(epoch: number): void {
    const firstSequence = this.last + 1
    const known = this.epoch && { epoch: this.epoch, lastSequence: this.last }
    const previous = known ? { ...known, zones: sorted(this.heads) } : null
    this.notes.push({ kind: 'epoch', content: { epoch, firstSequence, previous } })
    this.epoch = epoch
    this.heads = new Map()
    this.moved = new Set()
  }

  add(readings: Reading[], deadLetters: DeadLetter[], changes: Change[]): void {
    for (const one of readings) {
      const sequence = ++this.last
      const zoneSequence = (this.heads.get(one.zone) ?? 0) + 1
      this.heads.set(one.zone, zoneSequence)
      this.moved.add(one.zone)
      const id = createEventIds('gw', this.epoch)(sequence)
      this.events.push({ ...one, id, gateway: 'gw', epoch: this.epoch, sequence, zoneSequence })
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
    const gone = this.events.filter(({ sequence }) => sequence <= upTo)
    for (const epoch of new Set(gone.map(event => event.epoch))) {
      const all = gone.filter(event => event.epoch === epoch)
      const zones = [...new Set(all.map(({ zone }) => zone))].map(zone => {
        const numbers = all.filter(event => event.zone === zone).map(one => one.zoneSequence)
        return [zone, Math.min(...numbers), numbers.length]
      })
      const [from, to] = [all[0]!.sequence, all.at(-1)!.sequence]
      const content = { epoch, from, to, count: all.length, zones, reason: 'test' }
      this.notes.push({ kind: 'tombstone', content: comparable(content) })
    }
    this.prune(upTo)
  }

  beat(): void {
    if (this.moved.size === 0) return
    const zones = sorted(new Map([...this.moved].map(zone => [zone, this.heads.get(zone)!])))
    const content = { epoch: this.epoch, lastSequence: this.last, zones }
    this.notes.push({ kind: 'heads', content })
    this.moved = new Set()
  }
}

/** An outbox and the connection inside it, which tests use to make commits fail. */
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

/** A note's content with its zones in one order: theirs means nothing. */
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
