import assert from 'node:assert/strict'
import { packet, text } from '../wire.ts'
import { answersTo, isRefusedWith, refusesConnect } from './checks.ts'
import {
  badTexts,
  connectOf,
  openClient,
  openSocket,
  publishOf,
  sensorTopic,
  subscribeOf,
  unique,
} from './client.ts'
import type { Statement } from './statement.ts'

const will = { topic: 'a' }

/** Sections 3.1.3 to 3.2.2: the payload of CONNECT, and its answer. */
export const clientIdStatements: Statement[] = [
  {
    id: '3.1.3-1',
    says: 'The fields are client id, will topic, will message, user name, password, in this order.',
    test: async gateway => {
      const all = { will, userName: 'user', password: 'password' }
      using client = await openClient(gateway, all)
      await client.ping()
      const fields = [text('a'), text('b'), text('c'), text('d'), text('e')]
      const start = [text('MQTT'), Buffer.from([4, 0xc6, 0, 0])]
      for (let count = 0; count < fields.length; count++) {
        const bytes = packet('connect', 0, ...start, ...fields.slice(0, count))
        assert.deepEqual(await answersTo(gateway, bytes), [])
      }
    },
  },
  {
    id: '3.1.3-2',
    says: 'Client and server use the client id to identify the state of the session.',
    test: async gateway => {
      const [id, topic] = [unique('c'), unique('t')]
      const first = await openClient(gateway, { id, clean: false })
      await first.subscribe([[topic, 1]])
      await first.disconnect()
      using other = await openClient(gateway, { id: unique('c'), clean: false })
      assert.equal(other.sessionPresent, false)
      using same = await openClient(gateway, { id, clean: false })
      assert.equal(same.sessionPresent, true)
    },
  },
  {
    id: '3.1.3-3',
    says: 'The client id is the first field and always there.',
    test: async gateway => {
      const bytes = packet('connect', 0, text('MQTT'), Buffer.from([4, 2, 0, 0]))
      assert.deepEqual(await answersTo(gateway, bytes), [])
    },
  },
  {
    id: '3.1.3-4',
    says: 'The client id is a text of MQTT.',
    test: gateway =>
      refusesConnect(gateway, { id: Buffer.from('c3', 'hex') }, { id: Buffer.from('6100', 'hex') }),
  },
  {
    id: '3.1.3-5',
    says: 'Client ids of 1 to 23 bytes of 0-9, a-z and A-Z are allowed.',
    test: async gateway => {
      for (const id of [
        '0',
        'ABCDEFGHIJKLMNOPQRSTUVW',
        'abcdefghijklmnopqrstuvw',
        'xyzXYZ0123456789',
      ]) {
        using client = await openClient(gateway, { id })
        await client.ping()
      }
    },
  },
  {
    id: '3.1.3-6',
    says: 'An empty client id gets a client id of its own.',
    test: async gateway => {
      const [one, other] = [
        await openClient(gateway, { id: '' }),
        await openClient(gateway, { id: '' }),
      ]
      using _both = { [Symbol.dispose]: () => [one, other].map(client => client.abort()) }
      // The packet ids of the two clients are not confused.
      const [topicOfOne, topicOfOther] = [sensorTopic(), sensorTopic()]
      one.send(publishOf({ topic: topicOfOne, qos: 2, id: 5 }))
      other.send(publishOf({ topic: topicOfOther, qos: 2, id: 5 }))
      await one.expect('pubrec', 5)
      await other.expect('pubrec', 5)
      const topics = gateway.stored().map(({ source }) => source.topic)
      assert.ok(topics.includes(topicOfOne) && topics.includes(topicOfOther))
    },
  },
  {
    id: '3.1.3-7',
    says: 'An empty client id comes with a clean session.',
    test: gateway => isRefusedWith(2, answersTo(gateway, connectOf({ id: '', clean: false }))),
  },
  {
    id: '3.1.3-8',
    says: 'An empty client id without a clean session gets CONNACK 0x02, and then the end.',
    test: gateway =>
      isRefusedWith(
        2,
        answersTo(gateway, connectOf({ id: '', flags: 0 }), subscribeOf([['a', 0]])),
      ),
  },
  {
    id: '3.1.3-9',
    says: 'A client id that the server rejects gets CONNACK 0x02, and then the end.',
    test: async gateway => {
      // MQTT 3.1 limits a client id to 23 characters; MQTT 3.1.1 does not.
      const long = 'x'.repeat(24)
      const old = { name: 'MQIsdp', level: 3, id: long }
      await isRefusedWith(2, answersTo(gateway, connectOf(old)))
      await isRefusedWith(2, answersTo(gateway, connectOf({ id: 'x'.repeat(257) })))
      for (const id of [long, 'x'.repeat(256)]) {
        using client = await openClient(gateway, { id })
        await client.ping()
      }
    },
  },
  {
    id: '3.1.3-10',
    says: 'The will topic is a text of MQTT.',
    test: async gateway => {
      await refusesConnect(gateway, ...badTexts.map(topic => ({ will: { topic } })))
    },
  },
  {
    id: '3.1.3-11',
    says: 'The user name is a text of MQTT.',
    test: async gateway => {
      const names = ['ff', '610062', 'eda080'].map(hex => Buffer.from(hex, 'hex'))
      await refusesConnect(gateway, ...names.map(userName => ({ userName })))
    },
  },
  {
    id: '3.1.4-1',
    says: 'A CONNECT that does not follow section 3.1 is closed without CONNACK.',
    test: async gateway => {
      const bytes = connectOf({ will, userName: 'user', password: 'p' })
      for (let length = 0; length < bytes.length - 2; length++) {
        const cut = Buffer.concat([Buffer.of(0x10, length), bytes.subarray(2, 2 + length)])
        assert.deepEqual(await answersTo(gateway, cut), [])
      }
      await refusesConnect(gateway, { rest: Buffer.of(0) }, { will: { topic: 'a/#' } })
    },
  },
  {
    id: '3.1.4-2',
    says: 'A CONNECT with the client id of another connection closes that connection.',
    test: async gateway => {
      const id = unique('c')
      using first = await openClient(gateway, { id, keepAliveS: 1 })
      using second = await openClient(gateway, { id })
      await first.untilClosed()
      await second.ping()
      using third = await openClient(gateway, { id, clean: false })
      await second.untilClosed()
      await third.ping()
    },
  },
  {
    id: '3.1.4-4',
    says: 'A valid CONNECT gets CONNACK with return code 0.',
    test: async gateway => {
      using client = await openSocket(gateway)
      client.send(connectOf({}))
      const { body } = await client.expect('connack')
      assert.deepEqual([...body], [0, 0])
    },
  },
  {
    id: '3.1.4-5',
    says: 'After a rejected CONNECT the server processes nothing that follows.',
    test: async gateway => {
      const before = await gateway.messageCount()
      const message = publishOf({ topic: sensorTopic(), qos: 1 })
      await isRefusedWith(1, answersTo(gateway, connectOf({ level: 5 }), message))
      await isRefusedWith(2, answersTo(gateway, connectOf({ id: '', clean: false }), message))
      assert.deepEqual(await answersTo(gateway, connectOf({ flags: 3 }), message), [])
      assert.equal(await gateway.messageCount(), before)
    },
  },
  {
    id: '3.2.2-4',
    says: 'CONNACK with another return code than 0 has Session Present 0.',
    test: async gateway => {
      const id = unique('c')
      const session = await openClient(gateway, { id, clean: false })
      await session.subscribe([['a', 1]])
      await session.disconnect()
      await isRefusedWith(1, answersTo(gateway, connectOf({ id, clean: false, level: 5 })))
    },
  },
  {
    id: '3.2.2-5',
    says: 'After CONNACK with another return code than 0 the server closes the connection.',
    test: gateway => isRefusedWith(1, answersTo(gateway, connectOf({ level: 77 }))),
  },
  {
    id: '3.2.2-6',
    says: 'If no return code applies, the connection is closed without CONNACK.',
    test: gateway => refusesConnect(gateway, { flags: 3 }, { id: Buffer.of(0xff) }),
  },
]
