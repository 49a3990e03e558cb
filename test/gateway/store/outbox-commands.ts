import type { Database } from 'better-sqlite3'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Reading } from '../../../config/event/sensor-reading.ts'
import type { DeadLetter } from '../../../gateway/store/notes/note-log.ts'
import { anyDeadLetter, anyReading, copyStore } from './fixture.ts'
import type { Change, Model, Real } from './outbox-model.ts'

class Commit implements fc.Command<Model, Real> {
  readonly readings: Reading[]
  readonly deadLetters: DeadLetter[]
  readonly changes: Change[]
  /** Pages by which the file may grow; null: no limit. */
  readonly growth: number | null
  constructor(
    readings: Reading[],
    deadLetters: DeadLetter[],
    changes: Change[],
    growth: number | null,
  ) {
    this.readings = readings
    this.deadLetters = deadLetters
    this.changes = changes
    this.growth = growth
  }
  check = () => true
  run(model: Model, { outbox, newest }: Real): void {
    const { readings, changes } = this
    const deadLetters = this.deadLetters.map(deadLetter => ({ at: 5, deadLetter }))
    for (const { kind, client, packet, hash } of changes) {
      if (kind === 'remember') outbox.unreleased.remember(client, packet, hash)
      else if (kind === 'release') outbox.unreleased.release(client, packet)
      else outbox.unreleased.forget(client)
    }
    if (withGrowth(newest(), this.growth, () => outbox.commit({ readings, deadLetters }))) {
      model.add(readings, this.deadLetters, changes)
    }
    expect(outbox.unreleased.count).toBe(model.unreleased.size)
  }
  toString = () =>
    `commit(${this.readings.map(({ zone }) => zone)}; ${this.deadLetters.length}; ${this.changes.length}; growth ${this.growth})`
}

/** Counts failed commits, so that the test can check that some commits failed. */
export const failures = { count: 0 }

/**
 * Runs `work` while the file may grow by `growth` pages (null: no limit). Returns whether `work`
 * succeeded.
 */
function withGrowth(db: Database, growth: number | null, work: () => void): boolean {
  const pages = db.pragma('page_count', { simple: true }) as number
  if (growth !== null) db.pragma(`max_page_count = ${pages + growth}`)
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

class WriteZoneHeads implements fc.Command<Model, Real> {
  readonly growth: number | null
  constructor(growth: number | null) {
    this.growth = growth
  }
  check = () => true
  run(model: Model, { outbox, newest }: Real): void {
    if (withGrowth(newest(), this.growth, () => outbox.writeZoneHeads())) model.writeZoneHeads()
  }
  toString = () => `heads(growth ${this.growth})`
}

class Reopen implements fc.Command<Model, Real> {
  check = () => true
  run(model: Model, real: Real): void {
    real.outbox.close()
    if (model.changedZones.size > 0) model.writeZoneHeads()
    real.open()
    model.begin(real.outbox.epoch)
    real.check(model)
  }
  toString = () => 'reopen'
}

/** Deletes some of the oldest groups: pruned as delivered, or dropped with a tombstone. */
class Shorten implements fc.Command<Model, Real> {
  readonly how: 'prune' | 'drop'
  readonly groups: number
  readonly growth: number | null
  constructor(how: 'prune' | 'drop', groups: number, growth: number | null) {
    this.how = how
    this.groups = groups
    this.growth = growth
  }
  check = () => true
  run(model: Model, { outbox: { pruning }, newest }: Real): void {
    const group = pruning.oldestGroups().slice(0, this.groups).at(-1)
    if (!group) return
    const shorten = () =>
      this.how === 'drop' ? pruning.drop(group, null, 'test') : pruning.prune(group)
    if (withGrowth(newest(), this.growth, shorten)) model[this.how](group.to)
    shortened.count++
  }
  toString = () => `${this.how}(${this.groups}; growth ${this.growth})`
}

/** Counts deletions, so that the test can check that groups were deleted. */
export const shortened = { count: 0 }

/** Continues with a copy of the current files: the state after kill -9. */
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
  .map(([reading, kilobytes]) => ({ ...reading, device: noise(kilobytes * 1024) }))
const largeDeadLetter = fc
  .tuple(anyDeadLetter, fc.integer({ min: 1, max: 30 }))
  .map(([deadLetter, kilobytes]) => ({
    ...deadLetter,
    payload: Buffer.from(noise(kilobytes * 1024)),
  }))
const someDeadLetters = fc.oneof(
  fc.array(anyDeadLetter, { maxLength: 3 }),
  fc.array(largeDeadLetter, { maxLength: 3 }),
)
const commit = (readings: fc.Arbitrary<Reading[]>, growth: fc.Arbitrary<number | null>) =>
  fc
    .tuple(readings, someDeadLetters, fc.array(change, { maxLength: 3 }), growth)
    .map(args => new Commit(...args))

export const commands = fc.commands(
  [
    commit(fc.array(anyReading, { maxLength: 8 }), fc.constant(null)),
    commit(fc.array(large, { maxLength: 3 }), fc.nat(6)),
    fc.constantFrom(null, 0).map(growth => new WriteZoneHeads(growth)),
    fc
      .tuple(
        fc.constantFrom('prune', 'drop'),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(null, 0),
      )
      .map(args => new Shorten(...args)),
    fc.constant(new Reopen()),
    fc.constant(new Kill()),
  ],
  { maxCommands: 25, size: 'max' },
)

/** Incompressible text, the same at each call. */
function noise(length: number): string {
  let state = length
  return Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2 ** 31
    return String.fromCharCode(33 + ((state >> 16) % 90))
  }).join('')
}
