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

/** Every content of a file that power cuts after these calls leave; "none" for no file. */
function survivingAfter(calls: RecordedCall[], name: string): Set<string> {
  const disk = createModelDisk()
  for (const call of calls) disk.apply(call)
  const random = mulberry32(1)
  const surviving = Array.from({ length: CUTS }, () => disk.afterCut(random).get(name))
  return new Set(surviving.map(bytes => bytes?.toString('latin1') ?? 'none'))
}

describe('the disk model after a power cut', () => {
  it('keeps what was fsynced, and its name', () => {
    const calls = [open('1', 'a'), write('1', 0, 'one'), sync('1')]
    expect(survivingAfter(calls, 'a')).toEqual(new Set(['one']))
  })

  it('keeps or loses any of the writes that were not fsynced, in any order', () => {
    const calls = [open('1', 'a'), write('1', 0, '12'), sync('1')]
    const surviving = survivingAfter([...calls, write('1', 0, 'x'), write('1', 1, 'y')], 'a')
    expect([...surviving].sort()).toEqual(['12', '1y', 'x2', 'xy'])
  })

  it('tears a write at sector boundaries, and never changes bytes beside it', () => {
    const calls = [open('1', 'a'), write('1', 0, '-'.repeat(1537)), sync('1')]
    const surviving = survivingAfter([...calls, write('1', 0, 'x'.repeat(1536))], 'a')
    const torn = [...surviving].filter(text => /x-+x|^x+-{2,}|^-+x/.test(text))
    expect(torn.length).toBeGreaterThan(5)
    expect(torn.some(text => text.indexOf('-') % 512 > 0)).toBe(true)
    expect([...surviving].every(text => text.length === 1537 && text.endsWith('-'))).toBe(true)
  })

  it('may extend a file without the bytes that were written', () => {
    const calls = [open('1', 'a'), sync('1'), write('1', 0, 'xxxx')]
    const surviving = [...survivingAfter(calls, 'a')]
    expect(surviving).toEqual(expect.arrayContaining(['', 'xxxx', '\0\0\0\0']))
    expect(surviving.some(text => text.length === 4 && !/^[x\0]*$/.test(text))).toBe(true)
  })

  it('may restore a removed name until its folder is fsynced', () => {
    const calls: RecordedCall[] = [open('1', 'a'), write('1', 0, 'one'), sync('1')]
    const removed: RecordedCall[] = [...calls, { kind: 'unlink', name: 'a' }]
    expect(survivingAfter(removed, 'a')).toEqual(new Set(['one', 'none']))
    expect(survivingAfter([...removed, open('2', ''), sync('2')], 'a')).toEqual(new Set(['none']))
    const recreated = [...removed, open('3', 'a'), write('3', 0, 'two'), sync('3')]
    expect(survivingAfter(recreated, 'a')).toEqual(new Set(['two']))
  })

  it('has a renamed file under exactly one of its names', () => {
    const calls: RecordedCall[] = [open('1', 'a'), write('1', 0, 'one'), sync('1')]
    const renamed: RecordedCall[] = [...calls, { kind: 'rename', from: 'a', to: 'b' }]
    expect(survivingAfter(renamed, 'b')).toEqual(new Set(['one', 'none']))
    expect(survivingAfter([...renamed, sync('1')], 'b')).toEqual(new Set(['one']))
    expect(survivingAfter([...renamed, sync('1')], 'a')).toEqual(new Set(['none']))
  })
})
