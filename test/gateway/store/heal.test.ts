import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { asidesOf } from '../../../gateway/store/aside.ts'
import { damageOf, markDamaged } from '../../../gateway/store/damage.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { copyStore, reading, readOutbox, temporary } from './fixture.ts'

const GROUPS = 30
const PER_GROUP = 10
const LAST = GROUPS * PER_GROUP
const letter = { reason: 'r', place: '', topic: 't', payload: Buffer.alloc(3000, 7) }
const open = (file: string) => openOutbox({ file, gateway: 'gw' })
type Outbox = ReturnType<typeof open>

/** Groups of some kilobytes each, because noise does not compress. */
function fill(outbox: Outbox, groups = GROUPS): void {
  for (let group = 0; group < groups; group++) {
    const readings = Array.from({ length: PER_GROUP }, (_, at) =>
      reading(`z${at % 3}`, at, { device: noise(700) }),
    )
    const deadLetters = group % 5 === 0 ? [{ at: group, deadLetter: letter }] : []
    outbox.commit({ readings, deadLetters })
    if (group % 7 === 0) outbox.beat()
  }
}
const noise = (length: number) =>
  Array.from({ length }, () => String.fromCharCode(33 + Math.random() * 90)).join('')

/** A closed outbox, damaged as told: everything is in the one file. */
function withDamaged(spoil: (file: string) => void) {
  const place = temporary()
  const file = place.file('outbox.db')
  const outbox = open(file)
  outbox.incoming.remember('c', 5, Buffer.alloc(32, 1))
  fill(outbox)
  outbox.close()
  const before = readOutbox(file)
  spoil(file)
  return { file, before, outbox, [Symbol.dispose]: place[Symbol.dispose] }
}

/** Writes over the pages that hold something. */
function overwrite(file: string, isMeant: (page: Buffer, number: number) => boolean): number {
  const bytes = readFileSync(file)
  let count = 0
  for (let at = 0; at < bytes.length; at += 4096) {
    const page = bytes.subarray(at, at + 4096)
    if (!isMeant(page, at / 4096 + 1)) continue
    page.fill(0xa5)
    count++
  }
  writeFileSync(file, bytes)
  return count
}
const isLeaf = (page: Buffer) => page[0] === 0x0d
const isInterior = (page: Buffer) => page[0] === 0x05
const sequencesOf = ({ events }: ReturnType<typeof readOutbox>) => events.map(e => e.sequence)
const whole = Array.from({ length: LAST }, (_, at) => at + 1)
const quarantinesOf = ({ notes }: ReturnType<typeof readOutbox>) =>
  notes.filter(({ kind }) => kind === 'quarantine').map(({ content }) => content)

describe('an outbox that does not open', () => {
  const spoils: [string, (file: string) => void][] = [
    ['its first page is gone', file => void overwrite(file, (_, number) => number === 1)],
    ['its magic is damaged', file => flip(file, 3)],
    ['its mark is damaged', file => flip(file, 70)],
    ['its version is damaged', file => flip(file, 61)],
    ['its version is 0', file => patch(file, 60, Buffer.alloc(4))],
    ['its write version is damaged', file => flip(file, 18)],
    ['its read version is damaged', file => flip(file, 19)],
    ['its vacuum is turned off', file => patch(file, 64, Buffer.alloc(4))],
    ['its page size is damaged', file => flip(file, 16)],
    ['all inner pages of its trees are gone', file => void overwrite(file, isInterior)],
  ]
  it.each(spoils)('is made anew with everything in it: %s', (_, spoil) => {
    using at = withDamaged(spoil)
    const damaged = readFileSync(at.file)
    const outbox = open(at.file)
    expect(outbox.healed).toMatchObject({ found: { groups: GROUPS, events: LAST, lostEvents: 0 } })
    expect(outbox.store).toEqual(at.outbox.store)
    expect(outbox.lastSequence).toBe(LAST)
    outbox.commit({ readings: [reading('z0')], deadLetters: [] })
    outbox.close()
    const after = readOutbox(at.file)
    expect(after.events.slice(0, LAST)).toEqual(at.before.events)
    expect(after.events[LAST]).toMatchObject({ sequence: LAST + 1, zoneSequence: 1 })
    expect(after.notes.slice(0, at.before.notes.length)).toEqual(at.before.notes)
    const [salvage, epoch] = after.notes.slice(at.before.notes.length)
    const [aside] = asidesOf(at.file)
    expect(salvage).toMatchObject({ kind: 'salvage', content: { file: basename(aside!.file) } })
    expect(epoch).toMatchObject({ kind: 'epoch', content: { firstSequence: LAST + 1 } })
    const { previous } = epoch!.content as { previous: { zones: [string, number][] } }
    expect(previous).toMatchObject({ epoch: at.outbox.epoch, lastSequence: LAST })
    expect(new Map(previous.zones)).toEqual(
      new Map([...'012'].map((z, i) => [`z${z}`, i ? 90 : 120])),
    )
    expect(outbox.healed!.file).toBe(aside!.file)
    expect(readFileSync(aside!.file).equals(damaged)).toBe(true)
    expect(damageOf(at.file)).toBe(null)
    const again = open(at.file)
    expect(again.healed).toBe(null)
    again.close()
  })

  it('is named where it cannot be read: each range with its zones as far as they are known', () => {
    let leaves = 0
    using at = withDamaged(file => {
      overwrite(file, (_, number) => number === 1)
      leaves = overwrite(file, page => isLeaf(page) && leaves++ % 2 === 0)
    })
    expect(leaves).toBeGreaterThan(3)
    open(at.file).close()
    const after = readOutboxWithGaps(at.file)
    const lost = quarantinesOf(after as never) as { from: number; to: number; epoch?: number }[]
    expect(lost.length).toBeGreaterThan(2)
    const named = lost.flatMap(({ from, to }) => range(from, to))
    expect([...sequencesOf(after as never), ...named].sort((a, b) => a - b)).toEqual(whole)
    for (const event of after.events) expect(event).toEqual(at.before.events[event.sequence - 1])
    for (const one of lost)
      expect(one).toMatchObject({
        reason: expect.any(String),
        file: expect.stringMatching(/^outbox.db.damaged-/),
      })
    const salvage = after.notes.find(({ kind }) => kind === 'salvage')!.content
    expect(salvage.lostEvents).toBe(named.length)
    const lostNotes = (salvage.lostNotes as { from: number; to: number }[]).flatMap(
      ({ from, to }) => range(from, to),
    )
    const kept = after.notes
      .map(({ sequence }) => sequence)
      .filter(n => n <= at.before.notes.length)
    expect([...lostNotes, ...kept].sort((a, b) => a - b)).toEqual(range(1, at.before.notes.length))
  })
})

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)
const readOutboxWithGaps = readOutbox

function flip(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at]! ^= 0x40
  writeFileSync(file, bytes)
}
function patch(file: string, at: number, what: Buffer): void {
  const bytes = readFileSync(file)
  what.copy(bytes, at)
  writeFileSync(file, bytes)
}
void [existsSync, readdirSync, Database, markDamaged, copyStore]
