import { describe, expect, it } from 'vitest'
import { mulberry32 } from '../../../../../simulators/building/random.ts'
import { createModelDisk } from '../../../../../simulators/rehearse/power-cut/disk-model/disk.ts'
import type { RecordedCall } from '../../../../../simulators/rehearse/power-cut/recording/recorded-calls.ts'

const CUTS = 400
const open = (handle: string, name: string): RecordedCall => {
  const isDirectory = name === ''
  return { kind: 'open', handle, name, isEmptied: false, isDirectory }
}
const write = (handle: string, offset: number, text: string): RecordedCall => {
  return { kind: 'write', handle, offset, bytes: Buffer.from(text) }
}
const sync = (handle: string): RecordedCall => ({ kind: 'sync', handle })

/** All that power cuts after these calls leave of a file; "none" when it is not there. */
function leftBy(calls: RecordedCall[], name: string): Set<string> {
  const disk = createModelDisk()
  for (const call of calls) disk.apply(call)
  const random = mulberry32(1)
  const left = Array.from({ length: CUTS }, () => disk.afterCut(random).get(name))
  return new Set(left.map(bytes => bytes?.toString('latin1') ?? 'none'))
}

describe('a disk whose power is cut', () => {
  it('keeps what was fsynced, and its name', () => {
    const calls = [open('1', 'a'), write('1', 0, 'one'), sync('1')]
    expect(leftBy(calls, 'a')).toEqual(new Set(['one']))
  })

  it('keeps or loses what was not, the later without the earlier too', () => {
    const calls = [open('1', 'a'), write('1', 0, '12'), sync('1')]
    const left = leftBy([...calls, write('1', 0, 'x'), write('1', 1, 'y')], 'a')
    expect([...left].sort()).toEqual(['12', '1y', 'x2', 'xy'])
  })

  it('tears a write at its sectors, and leaves what is beside it', () => {
    const calls = [open('1', 'a'), write('1', 0, '-'.repeat(1537)), sync('1')]
    const left = leftBy([...calls, write('1', 0, 'x'.repeat(1536))], 'a')
    const torn = [...left].filter(text => /x-+x|^x+-{2,}|^-+x/.test(text))
    expect(torn.length).toBeGreaterThan(5)
    expect(torn.some(text => text.indexOf('-') % 512 > 0)).toBe(true)
    expect([...left].every(text => text.length === 1537 && text.endsWith('-'))).toBe(true)
  })

  it('makes a file longer than what was written into it', () => {
    const calls = [open('1', 'a'), sync('1'), write('1', 0, 'xxxx')]
    const left = [...leftBy(calls, 'a')]
    expect(left).toEqual(expect.arrayContaining(['', 'xxxx', '\0\0\0\0']))
    expect(left.some(text => text.length === 4 && !/^[x\0]*$/.test(text))).toBe(true)
  })

  it('may bring back a name that was removed, until its folder is fsynced', () => {
    const calls: RecordedCall[] = [open('1', 'a'), write('1', 0, 'one'), sync('1')]
    const removed: RecordedCall[] = [...calls, { kind: 'unlink', name: 'a' }]
    expect(leftBy(removed, 'a')).toEqual(new Set(['one', 'none']))
    expect(leftBy([...removed, open('2', ''), sync('2')], 'a')).toEqual(new Set(['none']))
    const again = [...removed, open('3', 'a'), write('3', 0, 'two'), sync('3')]
    expect(leftBy(again, 'a')).toEqual(new Set(['two']))
  })

  it('has a renamed file under one of its names', () => {
    const calls: RecordedCall[] = [open('1', 'a'), write('1', 0, 'one'), sync('1')]
    const renamed: RecordedCall[] = [...calls, { kind: 'rename', from: 'a', to: 'b' }]
    expect(leftBy(renamed, 'b')).toEqual(new Set(['one', 'none']))
    expect(leftBy([...renamed, sync('1')], 'b')).toEqual(new Set(['one']))
    expect(leftBy([...renamed, sync('1')], 'a')).toEqual(new Set(['none']))
  })
})
