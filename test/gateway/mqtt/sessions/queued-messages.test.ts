import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createQueuedMessages } from '../../../../gateway/mqtt/sessions/queued-messages.ts'

const clients = ['a', 'b', 'c']
const limits = { perSessionMax: 4, maxBytes: 6000, sessionsMax: 3 }

const step = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    to: fc.subarray(clients, { minLength: 1 }),
    bytes: fc.nat(1500),
  }),
  fc.record({ kind: fc.constant('acknowledge' as const), client: fc.constantFrom(...clients) }),
  fc.record({ kind: fc.constant('drop' as const), client: fc.constantFrom(...clients) }),
)

describe('messages queued for sessions', () => {
  it('stay within both bounds, in order, and count exactly', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const queued = createQueuedMessages(limits)
        const expected = new Map<string, number[]>(clients.map(client => [client, []]))
        for (const [n, given] of steps.entries()) {
          if (given.kind === 'add') {
            const payload = Buffer.alloc(given.bytes)
            const packet = { brokerId: 'b', brokerCounter: n, topic: 't', payload }
            const dropped = queued.add(given.to, packet)
            const added = given.to.filter(client => !dropped.includes(client))
            for (const client of added) expected.get(client)!.push(n)
          } else if (given.kind === 'drop') {
            queued.drop(given.client)
            expected.set(given.client, [])
          } else {
            const { client } = given
            const [first] = queued.of(client)
            if (!first) continue
            queued.update({ id: client }, { ...first, messageId: 7 })
            queued.remove({ id: client }, { messageId: 7 })
            expected.get(client)!.shift()
          }
          expect(queued.bytes()).toBeLessThanOrEqual(limits.maxBytes)
          const numbers = clients.map(client => queued.of(client).map(p => p.brokerCounter))
          expect(numbers).toEqual(clients.map(client => expected.get(client)))
          expect(Math.max(...numbers.map(({ length }) => length))).toBeLessThanOrEqual(4)
        }
        for (const client of clients) queued.drop(client)
        expect([queued.count, queued.bytes()]).toEqual([0, 0])
      }),
    )
  })

  it('leave room for a small message of each session, whatever the others queue', () => {
    const queued = createQueuedMessages(limits)
    const large = { topic: 't', payload: Buffer.alloc(900) }
    for (let n = 0; n < 20; n++) queued.add(['a', 'b'], large)
    expect(queued.add(['c'], { topic: 't', payload: Buffer.alloc(500) })).toEqual([])
  })
})
