import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { answersTo, refusesConnect } from './checks.ts'
import {
  connectOf,
  field,
  openClient,
  openSocket,
  packetOf,
  publishOf,
  sensorTopic,
  subscribeOf,
  unique,
} from './client.ts'
import type { Statement } from './statement.ts'

const will = { topic: 'a' }
/** CONNACK with a return code, and then the end of the connection. */
async function isRefusedWith(code: number, answers: ReturnType<typeof answersTo>) {
  const found = (await answers).map(({ type, body }) => [type, ...body])
  assert.deepEqual(found, [['connack', 0, code]])
}

/** Sections 3.1.2 to 3.2.2: what a CONNECT may contain, and its answer. */
export const connectStatements: Statement[] = [
  {
    id: '3.1.2-1',
    says: 'A CONNECT with another protocol name than MQTT may be closed without an answer.',
    test: gateway =>
      refusesConnect(gateway, { name: 'mqtt' }, { name: 'MQTTX' }, { name: '' }, { name: 'HTTP' }),
  },
  {
    id: '3.1.2-2',
    says: 'A protocol level that is not supported gets CONNACK 0x01, and then the end.',
    test: async gateway => {
      for (const level of [0, 1, 3, 5, 6, 127]) {
        await isRefusedWith(1, answersTo(gateway, connectOf({ level })))
      }
    },
  },
  {
    id: '3.1.2-3',
    says: 'A CONNECT with the reserved flag closes the connection.',
    test: gateway => refusesConnect(gateway, { flags: 3 }, { flags: 1 }),
  },
  {
    id: '3.1.2-11',
    says: 'Without the will flag, the will QoS and will RETAIN are 0, and there are no will fields.',
    test: async gateway => {
      await refusesConnect(gateway, { flags: 2 | 8 }, { flags: 2 | 32 })
      await refusesConnect(gateway, { rest: Buffer.concat([field('a'), field('b')]) })
    },
  },
  {
    id: '3.1.2-13',
    says: 'Without the will flag, the will QoS is 0.',
    test: gateway => refusesConnect(gateway, { flags: 2 | 8 }, { flags: 2 | 16 }, { flags: 26 }),
  },
  {
    id: '3.1.2-14',
    says: 'The will QoS is not 3.',
    test: gateway => refusesConnect(gateway, { will, flags: 2 | 4 | 24 }),
  },
  {
    id: '3.1.2-15',
    says: 'Without the will flag, will RETAIN is 0.',
    test: gateway => refusesConnect(gateway, { flags: 2 | 32 }),
  },
  {
    id: '3.1.2-18',
    says: 'Without the user name flag, there is no user name.',
    test: gateway => refusesConnect(gateway, { flags: 2, rest: field('user') }),
  },
  {
    id: '3.1.2-19',
    says: 'With the user name flag, there is a user name.',
    test: async gateway => {
      await refusesConnect(gateway, { flags: 2 | 128 })
      using client = await openClient(gateway, { userName: 'user' })
      await client.ping()
    },
  },
  {
    id: '3.1.2-20',
    says: 'Without the password flag, there is no password.',
    test: gateway => refusesConnect(gateway, { userName: 'user', rest: field('password') }),
  },
  {
    id: '3.1.2-21',
    says: 'With the password flag, there is a password.',
    test: async gateway => {
      await refusesConnect(gateway, { userName: 'user', flags: 2 | 128 | 64 })
      using client = await openClient(gateway, { userName: 'user', password: 'p\u0000' })
      await client.ping()
    },
  },
  {
    id: '3.1.2-22',
    says: 'Without the user name flag, the password flag is 0.',
    test: gateway => refusesConnect(gateway, { flags: 2 | 64, rest: field('password') }),
  },
  {
    id: '3.1.2-24',
    says: 'A client that is silent for one and a half times its keep alive is disconnected.',
    test: async gateway => {
      const startMs = performance.now()
      using silent = await openClient(gateway, { keepAliveS: 1 })
      using alive = await openClient(gateway, { keepAliveS: 1 })
      using untimed = await openClient(gateway, { keepAliveS: 0 })
      let isClosed = false
      const closed = silent.untilClosed().then(() => {
        isClosed = true
        assert.ok(performance.now() - startMs >= 1500)
      })
      while (!isClosed) {
        await alive.ping()
        await sleep(100)
      }
      await closed
      await alive.ping()
      await untimed.ping()
    },
  },
  {
    id: '3.1.3-1',
    says: 'The fields are client id, will topic, will message, user name, password, in this order.',
    test: async gateway => {
      const all = { will, userName: 'user', password: 'password' }
      using client = await openClient(gateway, all)
      await client.ping()
      const fields = [field('a'), field('b'), field('c'), field('d'), field('e')]
      const start = [field('MQTT'), Buffer.from([4, 0xc6, 0, 0])]
      for (let count = 0; count < fields.length; count++) {
        const bytes = packetOf('connect', 0, ...start, ...fields.slice(0, count))
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
      const bytes = packetOf('connect', 0, field('MQTT'), Buffer.from([4, 2, 0, 0]))
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
      using client = await openClient(gateway, { id: long })
      await client.ping()
    },
  },
  {
    id: '3.1.3-10',
    says: 'The will topic is a text of MQTT.',
    test: async gateway => {
      const topics = ['ff', '610062', 'eda080', ''].map(hex => Buffer.from(hex, 'hex'))
      await refusesConnect(gateway, ...topics.map(topic => ({ will: { topic } })))
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
