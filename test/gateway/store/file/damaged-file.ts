import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

const PAGE = 4096
export const GROUPS = 30
export const PER_GROUP = 10
export const LAST = GROUPS * PER_GROUP
const deadLetter = { reason: 'r', place: '', topic: 't', payload: Buffer.alloc(3000, 7) }

export const open = (file: string) => openOutbox({ file, gateway: 'gw' })

/** Adds groups of some kilobytes each (noise does not compress), dead letters and zone heads. */
export function fill(outbox: ReturnType<typeof open>, groups = GROUPS): void {
  for (let group = 0; group < groups; group++) {
    const readings = Array.from({ length: PER_GROUP }, (_, at) =>
      reading(`z${at % 3}`, at, { device: noise(700) }),
    )
    const deadLetters = group % 5 === 0 ? [{ at: group, deadLetter }] : []
    outbox.commit({ readings, deadLetters })
    if (group % 7 === 0) outbox.writeZoneHeads()
  }
}

/** Creates a closed outbox with all rows in one file, which is then damaged by `damage`. */
export function withDamaged(damage: (file: string) => void) {
  const place = temporary()
  const file = place.file('outbox.db')
  const outbox = open(file)
  outbox.unreleased.remember('c', 5, Buffer.alloc(32, 1))
  fill(outbox)
  outbox.close()
  const before = readOutbox(file)
  damage(file)
  const names = () => readdirSync(place.dir).sort()
  return { ...{ file, before, outbox, names }, [Symbol.dispose]: place[Symbol.dispose] }
}

/** Overwrites the selected pages of a file; returns how many. */
export function overwrite(
  file: string,
  isSelected: (page: Buffer, number: number) => boolean,
): number {
  const bytes = readFileSync(file)
  let count = 0
  for (let at = 0; at < bytes.length; at += PAGE) {
    const page = bytes.subarray(at, at + PAGE)
    if (!isSelected(page, at / PAGE + 1)) continue
    page.fill(0xa5)
    count++
  }
  writeFileSync(file, bytes)
  return count
}
export const isLeaf = (page: Buffer) => page[0] === 0x0d
export const isInner = (page: Buffer) => page[0] === 0x05
export const isFirst = (_: Buffer, number: number) => number === 1

/** Flips one bit of the byte at an offset of a file. */
export function flip(file: string, at: number, bit = 6): void {
  const bytes = readFileSync(file)
  bytes[at]! ^= 1 << bit
  writeFileSync(file, bytes)
}

/** Overwrites bytes of a file at an offset. */
export function patch(file: string, at: number, bytesToWrite: Buffer): void {
  const bytes = readFileSync(file)
  bytesToWrite.copy(bytes, at)
  writeFileSync(file, bytes)
}

/** The numbers from `from` to `to`. */
export const upTo = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at)

function noise(length: number): string {
  return Array.from({ length }, () => String.fromCharCode(33 + Math.random() * 90)).join('')
}
