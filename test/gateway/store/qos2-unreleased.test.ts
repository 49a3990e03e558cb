import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  OUTBOX_APPLICATION_ID,
  outboxMigrations,
  prepareDatabase,
} from '../../../gateway/store/file/schema.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { createUnreleasedMessages } from '../../../gateway/store/qos2-unreleased.ts'
import { reading, temporary } from './fixture.ts'

const [hash, otherHash] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
const empty = { readings: [], deadLetters: [] }

/** Only the table of unreleased messages, with commits that succeed or fail. */
function openTable(file: string) {
  const db = new Database(file)
  prepareDatabase(db, OUTBOX_APPLICATION_ID, outboxMigrations)
  const unreleased = createUnreleasedMessages(db)
  return {
    unreleased,
    commit() {
      db.transaction(() => unreleased.write())()
      unreleased.committed()
    },
    fail() {
      const failing = db.transaction(() => {
        unreleased.write()
        throw new Error('full')
      })
      expect(failing).toThrow('full')
      unreleased.reload()
    },
    [Symbol.dispose]: () => db.close(),
  }
}

describe('QoS 2 messages between PUBLISH and PUBREL', () => {
  it('are identified by client, packet id and content hash', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    const { unreleased } = table
    unreleased.remember('c', 1, hash)
    expect(unreleased.has('c', 1, hash)).toBe(true)
    expect(unreleased.has('c', 1, otherHash)).toBe(false)
    expect(unreleased.has('c', 2, hash)).toBe(false)
    expect(unreleased.has('d', 1, hash)).toBe(false)
    expect(unreleased.count).toBe(1)
  })

  it.each([1, 2, 255, 256, 32_768, 65_535])('are remembered under the packet id %i', packet => {
    using place = temporary()
    const file = place.file('outbox.db')
    using table = openTable(file)
    table.unreleased.remember('c', packet, hash)
    table.commit()
    using reopened = openTable(file)
    for (const { unreleased } of [table, reopened]) {
      expect([unreleased.has('c', packet, hash), unreleased.count]).toEqual([true, 1])
    }
    reopened.unreleased.release('c', packet)
    reopened.commit()
    expect(reopened.unreleased.count).toBe(0)
  })

  it('are new messages when a packet id has other content', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    const { unreleased } = table
    unreleased.remember('c', 1, hash)
    unreleased.remember('c', 1, otherHash)
    expect(unreleased.has('c', 1, hash)).toBe(false)
    expect(unreleased.has('c', 1, otherHash)).toBe(true)
    expect(unreleased.count).toBe(1)
  })

  it('are removed at release, and all messages of a client at once', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    const { unreleased } = table
    for (const packet of [1, 2, 3]) unreleased.remember('c', packet, hash)
    unreleased.remember('d', 1, hash)
    unreleased.release('c', 2)
    unreleased.release('nobody', 2)
    expect([1, 2, 3].map(packet => unreleased.has('c', packet, hash))).toEqual([true, false, true])
    expect(unreleased.count).toBe(3)
    unreleased.forget('c')
    expect([unreleased.count, unreleased.has('d', 1, hash)]).toEqual([1, true])
  })

  it('need no commit when a client without messages is forgotten', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    table.unreleased.forget('c')
    expect(table.unreleased.isChanged).toBe(false)
    table.unreleased.remember('c', 1, hash)
    expect(table.unreleased.isChanged).toBe(true)
  })

  it('are as of the last successful commit, after a failed commit and after a reopen', () => {
    const change = fc.record({
      kind: fc.constantFrom('remember', 'release', 'forget'),
      client: fc.constantFrom('a', 'b', '__proto__', ''),
      packet: fc.integer({ min: 1, max: 3 }),
      hash: fc.constantFrom(hash, otherHash),
    })
    const step = fc.record({ changes: fc.array(change), fails: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), steps => {
        using place = temporary()
        const file = place.file('outbox.db')
        let known = new Map<string, Buffer>()
        const check = ({ unreleased }: ReturnType<typeof openTable>) => {
          for (const client of ['a', 'b', '__proto__', '']) {
            for (const packet of [1, 2, 3]) {
              const stored = known.get(`${client} ${packet}`)
              expect(unreleased.has(client, packet, hash)).toBe(stored === hash)
              expect(unreleased.has(client, packet, otherHash)).toBe(stored === otherHash)
            }
          }
          expect(unreleased.count).toBe(known.size)
        }
        {
          using table = openTable(file)
          for (const { changes, fails } of steps) {
            const before = new Map(known)
            for (const { kind, client, packet, hash } of changes) {
              if (kind === 'remember') table.unreleased.remember(client, packet, hash)
              else if (kind === 'release') table.unreleased.release(client, packet)
              else table.unreleased.forget(client)
              if (kind === 'remember') known.set(`${client} ${packet}`, hash)
              else if (kind === 'release') known.delete(`${client} ${packet}`)
              else for (const id of [1, 2, 3]) known.delete(`${client} ${id}`)
            }
            check(table)
            if (fails) known = before
            if (fails) table.fail()
            else table.commit()
            check(table)
            expect(table.unreleased.isChanged).toBe(false)
          }
        }
        using reopened = openTable(file)
        check(reopened)
      }),
      { numRuns: 30 },
    )
  })

  it("become durable with the message's commit, or in an own commit", () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    outbox.unreleased.remember('c', 1, hash)
    outbox.commit({ readings: [reading('z')], deadLetters: [] })
    outbox.unreleased.remember('c', 2, hash)
    outbox.commit(empty)
    outbox.close()
    const reopened = openOutbox({ file, gateway: 'gw' })
    expect([1, 2].map(packet => reopened.unreleased.has('c', packet, hash))).toEqual([true, true])
    reopened.unreleased.release('c', 1)
    reopened.commit(empty)
    reopened.close()
    const last = openOutbox({ file, gateway: 'gw' })
    expect([1, 2].map(packet => last.unreleased.has('c', packet, hash))).toEqual([false, true])
    last.close()
  })

  it('are forgotten by age, which counts from the first trusted time', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    const { unreleased } = table
    unreleased.remember('old', 1, hash, 1000)
    unreleased.remember('new', 1, hash, 5000)
    unreleased.remember('undated', 1, hash)
    unreleased.expire(2000, 6000)
    const known = () => ['old', 'new', 'undated'].filter(client => unreleased.has(client, 1, hash))
    expect(known()).toEqual(['new', 'undated'])
    table.commit()
    unreleased.reload()
    expect(known()).toEqual(['new', 'undated'])
    unreleased.expire(6000, 9000)
    expect(known()).toEqual(['undated'])
    unreleased.expire(6001, 9000)
    expect([known(), unreleased.count]).toEqual([[], 0])
  })

  it('beyond the bounds are forgotten: of absent clients first, then of the client with most', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    const { unreleased } = table
    const bounds = { perClientMax: 4, totalMax: 6 }
    const packetsOf = (client: string) =>
      [1, 2, 3, 4, 5].filter(packet => unreleased.has(client, packet, hash))
    for (const packet of [1, 2, 3, 4, 5]) unreleased.remember('large', packet, hash)
    for (const packet of [1, 2]) unreleased.remember('absent', packet, hash)
    unreleased.remember('small', 1, hash)
    unreleased.enforceBounds(bounds, client => client !== 'absent')
    expect(['large', 'absent', 'small'].map(packetsOf)).toEqual([[2, 3, 4, 5], [2], [1]])
    for (const packet of [2, 3]) unreleased.remember('small', packet, hash)
    unreleased.enforceBounds(bounds, client => client !== 'absent')
    expect(['large', 'absent', 'small'].map(packetsOf)).toEqual([[3, 4, 5], [], [1, 2, 3]])
    expect(unreleased.forgottenAtBounds).toEqual({ perClientMax: 1, totalMax: 3 })
    table.commit()
    unreleased.reload()
    expect(unreleased.count).toBe(6)
  })
})
