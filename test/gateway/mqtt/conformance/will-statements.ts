import assert from 'node:assert/strict'
import { openSession, publishAll, received, willOf } from './checks.ts'
import { connectOf, openClient, openSocket, unique } from './client.ts'
import type { Statement } from './statement.ts'

/** Wills (section 3.1.2.5), and the DUP flag of sessions (section 3.3.1.1). */
export const willStatements: Statement[] = [
  {
    id: '3.3.1-1',
    says: 'A PUBLISH that is sent a second time has DUP 1.',
    test: async gateway => {
      const session = await openSession(gateway)
      await publishAll(gateway, session.topic, 1, ['again'])
      const flags: boolean[] = []
      for (let attempt = 0; attempt < 2; attempt++) {
        const client = await openClient(gateway, session)
        flags.push((await client.expect('publish')).dup)
        client.abort()
      }
      assert.deepEqual(flags, [false, true])
    },
  },
  {
    id: '3.3.1-3',
    says: 'DUP of a message to a subscriber does not depend on DUP of the message from its sender.',
    test: async gateway => {
      const session = await openSession(gateway)
      const topic = session.topic
      using live = await openClient(gateway)
      await live.subscribe([[topic, 1]])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, qos: 1, dup: true })
      assert.deepEqual(
        (await received(gateway, live)).map(({ dup }) => dup),
        [false],
      )
      using later = await openClient(gateway, session)
      assert.deepEqual(
        (await received(gateway, later)).map(({ dup }) => dup),
        [false],
      )
    },
  },
  {
    id: '3.1.2-8',
    says: 'The will is stored with the connection and published when the connection ends badly.',
    test: async gateway => {
      const { topic, message } = await willOf(gateway, client => client.abort(), { qos: 1 })
      assert.deepEqual([message.payload, message.qos], ['will', 1])
      assert.ok(
        gateway.stored().some(({ source }) => source.topic === topic) ||
          gateway.deadLetters().some(letter => letter.topic === topic),
      )
      // Violations of the protocol, and a silence, are such ends, too.
      await willOf(gateway, client => client.send(Buffer.from('6200', 'hex')))
      await willOf(gateway, client => client.send(connectOf({})))
      await willOf(gateway, () => {}, { keepAliveS: 1 })
    },
  },
  {
    id: '3.1.2-9',
    says: 'With the will flag, will QoS and will RETAIN are used, and the will fields are there.',
    test: async gateway => {
      for (const qos of [0, 1, 2]) {
        const { message } = await willOf(gateway, client => client.abort(), { qos })
        assert.equal(message.qos, qos)
      }
      const bytes = connectOf({ flags: 2 | 4 })
      using client = await openSocket(gateway)
      client.send(bytes)
      assert.deepEqual(await client.untilClosed(), [])
    },
  },
  {
    id: '3.1.2-10',
    says: 'The will is removed when it is published, and at a DISCONNECT.',
    test: async gateway => {
      const id = unique('c')
      const { topic } = await willOf(gateway, client => client.abort(), { id })
      using watcher = await openClient(gateway)
      await watcher.subscribe([[topic, 1]])
      const later = await openClient(gateway, { id })
      later.abort()
      const inOrder = await openClient(gateway, { will: { topic } })
      await inOrder.disconnect()
      assert.deepEqual(await received(gateway, watcher), [])
    },
  },
  {
    id: '3.1.2-12',
    says: 'Without the will flag, no will is published.',
    test: async gateway => {
      const id = unique('c')
      const topic = unique('t')
      using watcher = await openClient(gateway)
      await watcher.subscribe([[topic, 1]])
      await (await openClient(gateway, { id, will: { topic } })).disconnect()
      const client = await openClient(gateway, { id })
      client.abort()
      assert.deepEqual(await received(gateway, watcher), [])
    },
  },
  {
    id: '3.1.2-16',
    says: 'A will without will RETAIN is not retained.',
    test: async gateway => {
      const { topic } = await willOf(gateway, client => client.abort())
      using client = await openClient(gateway)
      await client.subscribe([[topic, 1]])
      assert.deepEqual(await received(gateway, client), [])
    },
  },
  {
    id: '3.1.2-17',
    says: 'A will with will RETAIN is retained.',
    test: async gateway => {
      const { topic } = await willOf(gateway, client => client.abort(), { retain: true })
      using client = await openClient(gateway)
      await client.subscribe([[topic, 1]])
      const [message] = await received(gateway, client)
      assert.deepEqual([message?.payload, message?.retain], ['will', true])
    },
  },
  {
    id: '3.14.4-3',
    says: 'At a DISCONNECT the server discards the will without publishing it.',
    test: async gateway => {
      const topic = unique('t')
      using watcher = await openClient(gateway)
      await watcher.subscribe([[topic, 1]])
      for (const clean of [true, false]) {
        await (await openClient(gateway, { clean, will: { topic } })).disconnect()
      }
      assert.deepEqual(await received(gateway, watcher), [])
    },
  },
]
