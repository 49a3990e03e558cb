import assert from 'node:assert/strict'
import { openSession, payloads, publishAll, received } from './checks.ts'
import {
  acknowledgementOf,
  connectOf,
  openClient,
  openSocket,
  publishOf,
  unique,
} from './client.ts'
import type { Statement } from './statement.ts'

/** Sections 3.1.2.4, 3.2.2.2, 4.1, 4.4 and 4.5: sessions. */
export const sessionStatements: Statement[] = [
  {
    id: '3.1.2-4',
    says: 'Without a clean session, the session of the client id continues, or a new one begins.',
    test: async gateway => {
      const session = await openSession(gateway)
      await publishAll(gateway, session.topic, 1, ['1', '2'])
      using client = await openClient(gateway, session)
      assert.equal(client.sessionPresent, true)
      assert.deepEqual(payloads(await received(gateway, client)), ['1', '2'])
    },
  },
  {
    id: '3.1.2-5',
    says: 'A session that is not clean keeps QoS 1 and 2 messages that arrive while it is away.',
    test: async gateway => {
      const session = await openSession(gateway, 2)
      await publishAll(gateway, session.topic, 1, ['one'])
      await publishAll(gateway, session.topic, 2, ['two'])
      using client = await openClient(gateway, session)
      const messages = await received(gateway, client)
      assert.deepEqual(
        messages.map(({ payload, qos }) => [payload, qos]),
        [
          ['one', 1],
          ['two', 2],
        ],
      )
    },
  },
  {
    id: '3.1.2-6',
    says: 'A clean session discards the previous session and ends with its connection.',
    test: async gateway => {
      const { id, topic } = await openSession(gateway)
      await publishAll(gateway, topic, 1, ['lost'])
      const clean = await openClient(gateway, { id })
      assert.equal(clean.sessionPresent, false)
      assert.deepEqual(await received(gateway, clean), [])
      await clean.subscribe([[topic, 1]])
      await clean.disconnect()
      await publishAll(gateway, topic, 1, ['lost, too'])
      using later = await openClient(gateway, { id, clean: false })
      assert.equal(later.sessionPresent, false)
      assert.deepEqual(await received(gateway, later), [])
    },
  },
  {
    id: '3.1.2-7',
    says: 'Retained messages are no part of a session and stay when the session ends.',
    test: async gateway => {
      const topic = unique('t')
      const publisher = await openClient(gateway)
      await publisher.publish({ topic, payload: 'kept', qos: 1, retain: true })
      await publisher.disconnect()
      using client = await openClient(gateway)
      await client.subscribe([[topic, 1]])
      assert.deepEqual(payloads(await received(gateway, client)), ['kept'])
    },
  },
  {
    id: '3.1.4-3',
    says: 'The server processes the clean session flag of each CONNECT.',
    test: async gateway => {
      const session = await openSession(gateway)
      const present: boolean[] = []
      for (const clean of [false, false, true, false]) {
        const client = await openClient(gateway, { ...session, clean })
        present.push(client.sessionPresent)
        await client.disconnect()
      }
      assert.deepEqual(present, [true, true, false, false])
    },
  },
  {
    id: '3.2.0-1',
    says: 'The first packet from the server is CONNACK.',
    test: async gateway => {
      const session = await openSession(gateway)
      using publisher = await openClient(gateway)
      for (let round = 0; round < 30; round++) {
        publisher.send(
          ...[1, 2, 3, 4].map(id => publishOf({ topic: session.topic, qos: id % 2, id })),
        )
        const client = await openSocket(gateway)
        client.send(connectOf(session))
        await client.expect('connack')
        client.abort()
      }
    },
  },
  {
    id: '3.2.2-1',
    says: 'CONNACK of a clean session has Session Present 0.',
    test: async gateway => {
      const { id } = await openSession(gateway)
      using client = await openClient(gateway, { id })
      assert.equal(client.sessionPresent, false)
    },
  },
  {
    id: '3.2.2-2',
    says: 'Session Present is 1 if the server has a session for the client id, even an empty one.',
    test: async gateway => {
      const session = await openSession(gateway)
      using client = await openClient(gateway, session)
      assert.equal(client.sessionPresent, true)
      const empty = { id: unique('c'), clean: false }
      await (await openClient(gateway, empty)).disconnect()
      using later = await openClient(gateway, empty)
      assert.equal(later.sessionPresent, true)
    },
  },
  {
    id: '3.2.2-3',
    says: 'Session Present is 0 if the server has no session for the client id.',
    test: async gateway => {
      using client = await openClient(gateway, { clean: false })
      assert.equal(client.sessionPresent, false)
    },
  },
  {
    id: '4.1.0-1',
    says: 'Client and server keep the state of a session as long as the session lasts.',
    test: async gateway => {
      const session = await openSession(gateway)
      for (const payload of ['first', 'second']) {
        await publishAll(gateway, session.topic, 1, [payload])
        const client = await openClient(gateway, session)
        const message = await client.expect('publish')
        assert.equal(message.payload, payload)
        client.send(acknowledgementOf('puback', message.id!))
        await client.disconnect()
      }
    },
  },
  {
    id: '4.1.0-2',
    says: 'A session lasts at least as long as its connection.',
    test: async gateway => {
      const topic = unique('t')
      using client = await openClient(gateway)
      await client.subscribe([[topic, 1]])
      for (const payload of ['1', '2', '3']) {
        await publishAll(gateway, topic, 1, [payload])
        assert.deepEqual(payloads(await received(gateway, client)), [payload])
      }
    },
  },
  {
    id: '4.4.0-1',
    says: 'After a reconnect, unacknowledged PUBLISH and PUBREL are sent with their packet ids.',
    test: async gateway => {
      const session = await openSession(gateway, 2)
      const first = await openClient(gateway, session)
      await publishAll(gateway, session.topic, 2, ['one', 'two', 'three'])
      const sent = await received(gateway, first)
      const [one, two, three] = sent.map(({ id }) => id!) as [number, number, number]
      // The first is released, the second is complete, the third has no answer.
      first.send(acknowledgementOf('pubrec', one), acknowledgementOf('pubrec', two))
      await first.expect('pubrel', one)
      await first.expect('pubrel', two)
      first.send(acknowledgementOf('pubcomp', two))
      await first.ping()
      first.abort()
      using second = await openClient(gateway, session)
      await second.expect('pubrel', one)
      const message = await second.expect('publish', three)
      assert.deepEqual([message.payload, message.dup], ['three', true])
      second.send(acknowledgementOf('pubcomp', one), acknowledgementOf('pubrec', three))
      await second.expect('pubrel', three)
      second.send(acknowledgementOf('pubcomp', three))
      await second.ping()
      await second.disconnect()
      using third = await openClient(gateway, session)
      assert.deepEqual(await third.ping(), [])
    },
  },
  {
    id: '4.5.0-1',
    says: 'The server adds a message to the session of every client with a matching subscription.',
    test: async gateway => {
      const [one, other] = [await openSession(gateway), await openSession(gateway)]
      const client = await openClient(gateway, one)
      await client.subscribe([[other.topic, 1]])
      await client.disconnect()
      using live = await openClient(gateway)
      const topics = [one.topic, other.topic]
      for (const topic of topics) await live.subscribe([[topic, 1]])
      for (const topic of topics) await publishAll(gateway, topic, 1, [topic])
      for (const [session, expected] of [
        [one, topics],
        [other, topics.slice(1)],
      ] as const) {
        using later = await openClient(gateway, session)
        assert.deepEqual(payloads(await received(gateway, later)), expected)
      }
      assert.deepEqual(payloads(await received(gateway, live)), topics)
    },
  },
]
