import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { reading, readOutbox, temporary } from '../fixture.ts'

const rowsOf = (file: string, query: string) => {
  const db = new Database(file, { readonly: true })
  const rows = db.prepare(query).raw().all()
  db.close()
  return rows
}

describe('a commit of several lanes', () => {
  const lane = 'alarms'
  const mixed = [
    reading('a', 1),
    reading('a', 2, { lane } as object),
    reading('b', 3),
    reading('b', 4, { lane } as object),
    reading('a', 5),
  ]

  it('is one group for each lane, with consecutive sequences', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    outbox.commit({ readings: mixed })
    outbox.commit({ readings: mixed.slice(1, 3) })
    const columns = 'sequence, count, lane, CAST(header AS TEXT), receivedFrom - 1700000000000'
    expect(rowsOf(file, `SELECT ${columns} FROM groups`)).toEqual([
      [1, 3, 'standard', '[["a",1,2],["b",1,1]]', 1],
      [4, 2, 'alarms', '[["a",3,1],["b",2,1]]', 2],
      [6, 1, 'alarms', '[["a",4,1]]', 2],
      [7, 1, 'standard', '[["b",3,1]]', 3],
    ])
    const bytes = rowsOf(file, 'SELECT bytesSoFar, length(header) + length(body) FROM groups')
    let total = 0
    for (const [soFar, own] of bytes as number[][]) {
      total += own!
      expect(soFar).toBe(total)
    }
    expect(outbox.bytesSoFar).toBe(total)
    expect(outbox.lastSequence).toBe(7)
    outbox.close()
  })

  it('keeps the order of acceptance in each zone and lane, and notes the zone heads', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    outbox.commit({ readings: mixed })
    outbox.writeZoneHeads()
    const { events, notes } = readOutbox(file)
    const numbers = events.map(({ zone, zoneSequence, receivedAt }) => [
      zone,
      zoneSequence,
      receivedAt - 1_700_000_000_000,
    ])
    expect(numbers).toEqual([
      ['a', 1, 1],
      ['b', 1, 3],
      ['a', 2, 5],
      ['a', 3, 2],
      ['b', 2, 4],
    ])
    const zones = [
      ['a', 3],
      ['b', 2],
    ]
    expect(notes.at(-1)!.content).toMatchObject({ lastSequence: 5, zones })
    outbox.close()
  })

  it('leaves neither rows nor used numbers when it fails', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    const invalid = reading('b', 1, { lane: 'x', observedAt: 'yesterday' } as object)
    expect(() => outbox.commit({ readings: [...mixed, invalid] })).toThrow()
    expect([outbox.bytesSoFar, outbox.lastSequence]).toEqual([0, 0])
    outbox.commit({ readings: mixed })
    const rows = rowsOf(file, 'SELECT sequence, count, lane FROM groups')
    expect(rows).toEqual([
      [1, 3, 'standard'],
      [4, 2, 'alarms'],
    ])
    outbox.close()
  })
})
