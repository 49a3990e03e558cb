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

const [one, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
const nothing = { readings: [], deadLetters: [] }

/** The table alone, with commits that succeed or fail. */
function openTable(file: string) {
  const db = new Database(file)
  prepareDatabase(db, OUTBOX_APPLICATION_ID, outboxMigrations)
  const incoming = createUnreleasedMessages(db)
  return {
    incoming,
    commit() {
      db.transaction(() => incoming.write())()
      incoming.committed()
    },
    fail() {
      const failing = db.transaction(() => {
        incoming.write()
        throw new Error('full')
      })
      expect(failing).toThrow('full')
      incoming.reload()
    },
    [Symbol.dispose]: () => db.close(),
  }
}

describe('QoS 2 messages between PUBLISH and PUBREL', () => {
  it('are known by client, packet id and what they say', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    const { incoming } = table
    incoming.remember('c', 1, one)
    expect(incoming.has('c', 1, one)).toBe(true)
    expect(incoming.has('c', 1, other)).toBe(false)
    expect(incoming.has('c', 2, one)).toBe(false)
    expect(incoming.has('d', 1, one)).toBe(false)
    expect(incoming.count).toBe(1)
  })

  it('are new messages when the same packet id says something else', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    const { incoming } = table
    incoming.remember('c', 1, one)
    incoming.remember('c', 1, other)
    expect(incoming.has('c', 1, one)).toBe(false)
    expect(incoming.has('c', 1, other)).toBe(true)
    expect(incoming.count).toBe(1)
  })

  it('are forgotten at release, and all of a client at once', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    const { incoming } = table
    for (const packet of [1, 2, 3]) incoming.remember('c', packet, one)
    incoming.remember('d', 1, one)
    incoming.release('c', 2)
    incoming.release('nobody', 2)
    expect([1, 2, 3].map(packet => incoming.has('c', packet, one))).toEqual([true, false, true])
    expect(incoming.count).toBe(3)
    incoming.forget('c')
    expect([incoming.count, incoming.has('d', 1, one)]).toEqual([1, true])
  })

  it('that nobody knows cost no commit to forget', () => {
    using place = temporary()
    using table = openTable(place.file('outbox.db'))
    table.incoming.forget('c')
    expect(table.incoming.isChanged).toBe(false)
    table.incoming.remember('c', 1, one)
    expect(table.incoming.isChanged).toBe(true)
  })

  it('are what the last good commit left, after a failed one and after opening again', () => {
    const change = fc.record({
      kind: fc.constantFrom('remember', 'release', 'forget'),
      client: fc.constantFrom('a', 'b', '__proto__', ''),
      packet: fc.integer({ min: 1, max: 3 }),
      hash: fc.constantFrom(one, other),
    })
    const step = fc.record({ changes: fc.array(change), fails: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), steps => {
        using place = temporary()
        const file = place.file('outbox.db')
        let known = new Map<string, Buffer>()
        const check = ({ incoming }: ReturnType<typeof openTable>) => {
          for (const client of ['a', 'b', '__proto__', '']) {
            for (const packet of [1, 2, 3]) {
              const hash = known.get(`${client} ${packet}`)
              expect(incoming.has(client, packet, one)).toBe(hash === one)
              expect(incoming.has(client, packet, other)).toBe(hash === other)
            }
          }
          expect(incoming.count).toBe(known.size)
        }
        {
          using table = openTable(file)
          for (const { changes, fails } of steps) {
            const before = new Map(known)
            for (const { kind, client, packet, hash } of changes) {
              if (kind === 'remember') table.incoming.remember(client, packet, hash)
              else if (kind === 'release') table.incoming.release(client, packet)
              else table.incoming.forget(client)
              if (kind === 'remember') known.set(`${client} ${packet}`, hash)
              else if (kind === 'release') known.delete(`${client} ${packet}`)
              else for (const id of [1, 2, 3]) known.delete(`${client} ${id}`)
            }
            check(table)
            if (fails) known = before
            if (fails) table.fail()
            else table.commit()
            check(table)
            expect(table.incoming.isChanged).toBe(false)
          }
        }
        using again = openTable(file)
        check(again)
      }),
      { numRuns: 30 },
    )
  })

  it('become durable with the commit of the message, or alone', () => {
    using place = temporary()
    const file = place.file('outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    outbox.incoming.remember('c', 1, one)
    outbox.commit({ readings: [reading('z')], deadLetters: [] })
    outbox.incoming.remember('c', 2, one)
    outbox.commit(nothing)
    outbox.close()
    const again = openOutbox({ file, gateway: 'gw' })
    expect([1, 2].map(packet => again.incoming.has('c', packet, one))).toEqual([true, true])
    again.incoming.release('c', 1)
    again.commit(nothing)
    again.close()
    const last = openOutbox({ file, gateway: 'gw' })
    expect([1, 2].map(packet => last.incoming.has('c', packet, one))).toEqual([false, true])
    last.close()
  })
})
