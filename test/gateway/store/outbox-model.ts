import type { Database } from 'better-sqlite3'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Reading, SensorReading } from '../../../config/events.ts'
import { eventIds } from '../../../config/ids.ts'
import { bellFile, readBell } from '../../../gateway/store/bell.ts'
import type { DeadLetter, ReadNote } from '../../../gateway/store/notes.ts'
import { type Outbox, openOutbox } from '../../../gateway/store/outbox.ts'
import { anyDeadLetter, anyReading, copyStore, readOutbox } from './fixture.ts'

type Incoming = { client: string; packet: number; hash: Buffer }
type Expected = Pick<ReadNote, 'kind' | 'content'>

/** What an outbox must hold: plain lists, without a file, transactions or failures. */
export class Model {
  /** The events that are there, and the number of the last one ever stored. */
  events: SensorReading[] = []
  last = 0
  notes: Expected[] = []
  incoming = new Map<string, Incoming>()
  epoch = 0
  heads = new Map<string, number>()
  moved = new Set<string>()
  previous: { epoch: number; heads: Map<string, number> } | null = null

  begin(epoch: number): void {
    const firstSequence = this.last + 1
    const known = this.epoch && { epoch: this.epoch, lastSequence: this.last }
    const previous = known ? { ...known, zones: sorted(this.heads) } : null
    this.notes.push({ kind: 'epoch', content: { gateway: 'gw', epoch, firstSequence, previous } })
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
      const id = eventIds('gw', this.epoch)(sequence)
      this.events.push({ ...one, id, gateway: 'gw', epoch: this.epoch, sequence, zoneSequence })
    }
    for (const { payload, ...rest } of deadLetters) {
      const content = { ...rest, payload: Buffer.from(payload).toString('base64') }
      this.notes.push({ kind: 'deadletter', content })
    }
    for (const { kind, client, packet, hash } of changes) {
      const key = `${client} ${packet}`
      if (kind === 'remember') this.incoming.set(key, { client, packet, hash })
      else if (kind === 'release') this.incoming.delete(key)
      else for (const [k, v] of this.incoming) if (v.client === client) this.incoming.delete(k)
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
    const { incoming, lastSequence, epoch, store } = this.outbox
    expect(lastSequence).toBe(model.last)
    expect(incoming.count).toBe(model.incoming.size)
    for (const { client, packet, hash } of model.incoming.values()) {
      expect(incoming.has(client, packet, hash)).toBe(true)
    }
    const mark = { store, epoch, sequence: lastSequence, noteSequence: notes.length }
    expect(readBell(bellFile(this.file))).toEqual(mark)
  }
}

export type Change = { kind: 'remember' | 'release' | 'forget' } & Incoming

class Commit implements fc.Command<Model, Real> {
  readonly readings: Reading[]
  readonly deadLetters: DeadLetter[]
  readonly changes: Change[]
  /** Pages the file may still grow by; null: as many as it likes. */
  readonly room: number | null
  constructor(
    readings: Reading[],
    deadLetters: DeadLetter[],
    changes: Change[],
    room: number | null,
  ) {
    this.readings = readings
    this.deadLetters = deadLetters
    this.changes = changes
    this.room = room
  }
  check = () => true
  run(model: Model, { outbox, newest }: Real): void {
    const { readings, changes } = this
    const deadLetters = this.deadLetters.map(deadLetter => ({ at: 5, deadLetter }))
    for (const { kind, client, packet, hash } of changes) {
      if (kind === 'remember') outbox.incoming.remember(client, packet, hash)
      else if (kind === 'release') outbox.incoming.release(client, packet)
      else outbox.incoming.forget(client)
    }
    if (withRoom(newest(), this.room, () => outbox.commit({ readings, deadLetters }))) {
      model.add(readings, this.deadLetters, changes)
    }
    expect(outbox.incoming.count).toBe(model.incoming.size)
  }
  toString = () =>
    `commit(${this.readings.map(({ zone }) => zone)}; ${this.deadLetters.length}; ${this.changes.length}; room ${this.room})`
}

/** How often a commit failed, so that a test can tell that some did. */
export const failures = { count: 0 }

/** Runs `work` with `room` pages to grow by (null: no limit) and tells whether it succeeded. */
function withRoom(db: Database, room: number | null, work: () => void): boolean {
  const pages = db.pragma('page_count', { simple: true }) as number
  if (room !== null) db.pragma(`max_page_count = ${pages + room}`)
  try {
    work()
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'SQLITE_FULL' })
    failures.count++
    return false
  } finally {
    db.pragma('max_page_count = 1000000')
  }
}

class Beat implements fc.Command<Model, Real> {
  readonly room: number | null
  constructor(room: number | null) {
    this.room = room
  }
  check = () => true
  run(model: Model, { outbox, newest }: Real): void {
    if (withRoom(newest(), this.room, () => outbox.beat())) model.beat()
  }
  toString = () => `beat(room ${this.room})`
}

class Reopen implements fc.Command<Model, Real> {
  check = () => true
  run(model: Model, real: Real): void {
    real.outbox.close()
    model.beat()
    real.open()
    model.begin(real.outbox.epoch)
    real.check(model)
  }
  toString = () => 'reopen'
}

/** Deletes some of the oldest groups: as delivered, or dropped with a tombstone. */
class Shorten implements fc.Command<Model, Real> {
  readonly how: 'prune' | 'drop'
  readonly groups: number
  readonly room: number | null
  constructor(how: 'prune' | 'drop', groups: number, room: number | null) {
    this.how = how
    this.groups = groups
    this.room = room
  }
  check = () => true
  run(model: Model, { outbox: { pruning }, newest }: Real): void {
    const group = pruning.oldest().slice(0, this.groups).at(-1)
    if (!group) return
    const shorten = () =>
      this.how === 'drop' ? pruning.drop(group, null, 'test') : pruning.prune(group)
    if (withRoom(newest(), this.room, shorten)) model[this.how](group.to)
    shortened.count++
  }
  toString = () => `${this.how}(${this.groups}; room ${this.room})`
}

/** How often something was deleted. */
export const shortened = { count: 0 }

/** Goes on with a copy of the files as they are: as after kill -9. */
class Kill implements fc.Command<Model, Real> {
  check = () => true
  run(model: Model, real: Real): void {
    const killed = real.outbox
    const copy = `${real.file}k`
    copyStore(real.file, copy)
    killed.close()
    real.file = copy
    real.open()
    model.begin(real.outbox.epoch)
    real.check(model)
  }
  toString = () => 'kill'
}

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes))
const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('remember', 'remember', 'release', 'forget'),
  client: fc.constantFrom('c1', 'c2', '__proto__'),
  packet: fc.integer({ min: 1, max: 3 }),
  hash,
})
const large = fc
  .tuple(anyReading, fc.integer({ min: 1, max: 30 }))
  .map(([one, kilobytes]) => ({ ...one, device: noise(kilobytes * 1024) }))
const largeLetter = fc
  .tuple(anyDeadLetter, fc.integer({ min: 1, max: 30 }))
  .map(([one, kilobytes]) => ({ ...one, payload: Buffer.from(noise(kilobytes * 1024)) }))
const letters = fc.oneof(
  fc.array(anyDeadLetter, { maxLength: 3 }),
  fc.array(largeLetter, { maxLength: 3 }),
)
const commit = (readings: fc.Arbitrary<Reading[]>, room: fc.Arbitrary<number | null>) =>
  fc
    .tuple(readings, letters, fc.array(change, { maxLength: 3 }), room)
    .map(all => new Commit(...all))

export const commands = fc.commands(
  [
    commit(fc.array(anyReading, { maxLength: 8 }), fc.constant(null)),
    commit(fc.array(large, { maxLength: 3 }), fc.nat(6)),
    fc.constantFrom(null, 0).map(room => new Beat(room)),
    fc
      .tuple(
        fc.constantFrom('prune', 'drop'),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(null, 0),
      )
      .map(all => new Shorten(...all)),
    fc.constant(new Reopen()),
    fc.constant(new Kill()),
  ],
  { maxCommands: 25, size: 'max' },
)

/** Text that does not compress, the same each time. */
function noise(length: number): string {
  let state = length
  return Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2 ** 31
    return String.fromCharCode(33 + ((state >> 16) % 90))
  }).join('')
}

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
