import { crc32, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type GroupRow,
  packGroup,
  readHeader,
  unpackGroup,
} from '../../../../gateway/store/groups/group-codec.ts'

const facts = {
  sequence: 41,
  count: 3,
  lane: 'standard',
  epoch: 123_456_789_012_345,
  receivedFrom: 1_700_000_000_000,
  receivedTo: 1_700_000_000_020,
  schema: Buffer.from('2f6f7133d40c82fc', 'hex'),
}
const zones = [
  { zone: 'z1', first: 7, count: 2 },
  { zone: 'é "quoted"', first: 1, count: 1 },
]
const values = [Buffer.from('one'), Buffer.from(''), Buffer.from('three')]
const row = packGroup(facts, zones, [0, 1, 0], [3, 0, 5], Buffer.concat(values), 1000)
const events = [
  { sequence: 41, zone: 'z1', value: values[0] },
  { sequence: 42, zone: 'é "quoted"', value: values[1] },
  { sequence: 43, zone: 'z1', value: values[2] },
]

describe('a group', () => {
  it('unpacks to its events and zones', () => {
    expect(unpackGroup(row)).toEqual(events)
    expect(readHeader(row)).toEqual(zones)
  })

  it('adds its bytes to the running total', () => {
    expect(row.bytesSoFar).toBe(1000 + row.header.length + row.body.length)
  })

  it('unpacks to any events of any zones', () => {
    const event = fc.tuple(fc.string({ unit: 'grapheme' }), fc.uint8Array({ maxLength: 300 }))
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 50 }), list => {
        const names = [...new Set(list.map(([zone]) => zone))]
        const ranges = names.map(zone => ({ zone, first: 1, count: 1 }))
        const packed = packGroup(
          { ...facts, count: list.length },
          ranges,
          list.map(([zone]) => names.indexOf(zone)),
          list.map(([, bytes]) => bytes.length),
          Buffer.concat(list.map(([, bytes]) => bytes)),
          0,
        )
        expect(unpackGroup(packed)).toEqual(
          list.map(([zone, bytes], at) => ({ sequence: 41 + at, zone, value: Buffer.from(bytes) })),
        )
        expect(readHeader(packed)).toEqual(ranges)
      }),
    )
  })
})

describe('a damaged group', () => {
  const isHarmless = (damaged: GroupRow) => {
    const read = unpackGroup(damaged)
    if (Array.isArray(read)) expect(read).toEqual(events)
    else expect(read.reason).toMatch(/checksum differs|is not known/)
    return Array.isArray(read)
  }
  const columns = Object.keys(row) as (keyof GroupRow)[]
  const flipped = (column: keyof GroupRow, bit: number): GroupRow | null => {
    const value = row[column]
    if (typeof value === 'number') {
      const other = Number(BigInt(value) ^ (1n << BigInt(bit)))
      return bit < 52 ? { ...row, [column]: other } : null
    }
    const bytes = Buffer.from(value as string | Buffer)
    if (bit >= bytes.length * 8) return null
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    return { ...row, [column]: typeof value === 'string' ? bytes.toString('latin1') : bytes }
  }

  it.each(columns)('is detected, whatever bit of %s is flipped', column => {
    let bit = 0
    for (let damaged = flipped(column, bit); damaged; damaged = flipped(column, ++bit)) {
      expect(isHarmless(damaged)).toBe(false)
    }
    expect(bit).toBeGreaterThan(7)
  })

  it.each(columns)('is detected when %s has another type', column => {
    for (const value of [null, 0, -1, 1.5, 'x', '', Buffer.alloc(0), Buffer.alloc(3)]) {
      expect(isHarmless({ ...row, [column]: value } as GroupRow)).toBe(false)
    }
  })

  it('is detected when header and body are of different groups', () => {
    const other = packGroup(facts, zones, [1, 0, 0], [3, 0, 5], Buffer.from('othrevil'), 1000)
    expect(isHarmless({ ...row, body: other.body })).toBe(false)
    expect(isHarmless({ ...row, header: other.header, headerCrc: other.headerCrc })).toBe(false)
  })

  it('still names its zones when only the body is damaged', () => {
    const body = Buffer.from(row.body)
    body[body.length >> 1]! ^= 1
    expect(unpackGroup({ ...row, body })).toEqual({ reason: 'body checksum differs' })
    expect(readHeader({ ...row, body } as GroupRow)).toEqual(zones)
  })

  it('of an unknown version is reported with a reason', () => {
    const { sequence, count, lane, epoch, receivedFrom, receivedTo, bytesSoFar } = row
    const sumOf = (version: number) => {
      const fields = [sequence, count, lane, epoch, receivedFrom, receivedTo, version, bytesSoFar]
      return crc32(row.header, crc32(row.schema, crc32(JSON.stringify(fields))))
    }
    expect(sumOf(1)).toBe(row.headerCrc)
    const newer = { ...row, version: 3, headerCrc: sumOf(3) }
    expect(unpackGroup(newer)).toEqual({ reason: 'group version 3 is not known' })
  })

  it('that was written by hand in the documented format is read', () => {
    const header = Buffer.from(JSON.stringify([['z', 5, 2]]))
    const entries = Buffer.from('000003000000' + '000002000000', 'hex')
    const body = zstdCompressSync(Buffer.concat([entries, Buffer.from('abcde')]))
    const [schema, bytesSoFar] = [Buffer.alloc(8), 77]
    const fields = [9, 2, 'standard', 8, 1, 2, 1, bytesSoFar]
    const headerCrc = crc32(header, crc32(schema, crc32(JSON.stringify(fields))))
    const columns = {
      sequence: 9,
      count: 2,
      lane: 'standard',
      epoch: 8,
      receivedFrom: 1,
      receivedTo: 2,
    }
    const rest = { version: 1, schema, bytesSoFar, header, headerCrc, bodyCrc: crc32(body), body }
    expect(unpackGroup({ ...columns, ...rest })).toEqual([
      { sequence: 9, zone: 'z', value: Buffer.from('abc') },
      { sequence: 10, zone: 'z', value: Buffer.from('de') },
    ])
  })
})
