import assert from 'node:assert/strict'
import { header, packet, packetTypes } from '../wire.ts'
import { answersTo, payloads, received, refuses, refusesConnect } from './checks.ts'
import {
  acknowledgementOf,
  bytesOf,
  connectOf,
  openClient,
  publishOf,
  sensorTopic,
  subscribeOf,
  unique,
  unsubscribeOf,
} from './client.ts'
import type { Statement } from './statement.ts'

/** Ill-formed UTF-8: a stray byte, an overlong form, a cut form, a surrogate, above U+10FFFF. */
const illFormed = ['61ff', 'c080', 'e282', 'eda080', 'f4908080'].map(bytesOf)
const withNul = bytesOf('610062')
const flagsOf: Record<string, number> = { pubrel: 2, subscribe: 2, unsubscribe: 2 }

/** Chapters 1 to 2 of the specification: texts, fixed headers and packet ids. */
export const packetStatements: Statement[] = [
  {
    id: '1.5.3-1',
    says: 'A text that is not well-formed UTF-8, or contains a surrogate, closes the connection.',
    test: async gateway => {
      for (const text of illFormed) {
        await refuses(
          ...[gateway, publishOf({ topic: text }), publishOf({ topic: text, qos: 1 })],
          ...[subscribeOf([[text, 0]]), unsubscribeOf([text])],
        )
        await refusesConnect(gateway, { id: text }, { userName: text }, { will: { topic: text } })
      }
    },
  },
  {
    id: '1.5.3-2',
    says: 'A text that contains U+0000 closes the connection.',
    test: async gateway => {
      const packets = [publishOf({ topic: withNul }), subscribeOf([[withNul, 0]])]
      await refuses(gateway, ...packets, unsubscribeOf([withNul]))
      const will = { topic: withNul }
      await refusesConnect(gateway, { id: withNul }, { userName: withNul }, { will })
    },
  },
  {
    id: '1.5.3-3',
    says: 'The bytes EF BB BF are U+FEFF, and are neither skipped nor removed.',
    test: async gateway => {
      const topic = `\ufeff${unique('t')}\ufeff`
      using subscriber = await openClient(gateway)
      await subscriber.subscribe([[topic, 0]])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, qos: 1 })
      assert.deepEqual(
        (await received(gateway, subscriber)).map(message => message.topic),
        [topic],
      )
    },
  },
  {
    id: '2.2.2-1',
    says: 'Reserved flags of the fixed header have the value that the specification lists.',
    test: async gateway => {
      using client = await openClient(gateway)
      client.send(
        ...[acknowledgementOf('pubrel', 9), subscribeOf([['a', 0]], 9), unsubscribeOf(['a'], 9)],
        ...[publishOf({ topic: sensorTopic(), qos: 1, id: 9 }), packet('pingreq', 0)],
      )
      const types = new Set<string>()
      while (types.size < 5) {
        const { type, flags } = (await client.next())!
        assert.equal(flags, 0)
        types.add(type)
      }
    },
  },
  {
    id: '2.2.2-2',
    says: 'Invalid flags in the fixed header close the connection.',
    test: async gateway => {
      for (const type of packetTypes.filter(name => name !== 'publish')) {
        for (let flags = 0; flags < 16; flags++) {
          if (flags !== (flagsOf[type] ?? 0)) {
            await refuses(gateway, packet(type, flags, bytesOf('0001')))
          }
        }
      }
    },
  },
  {
    id: '2.3.1-1',
    says: 'SUBSCRIBE, UNSUBSCRIBE and PUBLISH with QoS above 0 have a packet id that is not 0.',
    test: gateway =>
      refuses(
        ...[gateway, publishOf({ topic: sensorTopic(), qos: 1, id: 0 })],
        ...[publishOf({ topic: sensorTopic(), qos: 2, id: 0 }), subscribeOf([['a', 0]], 0)],
        ...[unsubscribeOf(['a'], 0), bytesOf('8200'), bytesOf('a200'), bytesOf('3403000161')],
        ...['puback', 'pubrec', 'pubrel', 'pubcomp'].map(type => acknowledgementOf(type, 0)),
        ...[bytesOf('6200'), bytesOf('620100'), bytesOf('4000'), bytesOf('3203000161')],
      ),
  },
  {
    id: '2.3.1-4',
    says: 'The server gives a PUBLISH with QoS above 0 a packet id that is not in use.',
    test: async gateway => {
      const topic = unique('t')
      using subscriber = await openClient(gateway)
      await subscriber.subscribe([[topic, 2]])
      using publisher = await openClient(gateway)
      for (let n = 0; n < 50; n++) await publisher.publish({ topic, qos: 1 + (n % 2), id: n + 1 })
      const ids = (await received(gateway, subscriber)).map(({ id }) => id)
      assert.equal(ids.length, 50)
      assert.equal(new Set(ids).size, 50)
      assert.ok(!ids.includes(0) && !ids.includes(null))
    },
  },
  {
    id: '2.3.1-5',
    says: 'A PUBLISH with QoS 0 has no packet id.',
    test: async gateway => {
      const topic = unique('t')
      using subscriber = await openClient(gateway)
      await subscriber.subscribe([[topic, 2]])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, payload: 'all of it' })
      const [message] = await received(gateway, subscriber)
      assert.equal(message!.payload, 'all of it')
      assert.equal(message!.body.length, 2 + topic.length + 'all of it'.length)
    },
  },
  {
    id: '2.3.1-6',
    says: 'PUBACK, PUBREC and PUBREL have the packet id of the PUBLISH.',
    test: async gateway => {
      using client = await openClient(gateway)
      for (const id of [1, 255, 256, 65_535]) {
        await client.publish({ topic: sensorTopic(), qos: 1, id })
        await client.publish({ topic: sensorTopic(), qos: 2, id })
      }
      await client.subscribe([['own', 2]])
      await client.publish({ topic: 'own', qos: 1, id: 7 })
      const { id } = await client.expect('publish')
      client.send(acknowledgementOf('puback', id!))
      await client.ping()
    },
  },
  {
    id: '2.3.1-7',
    says: 'SUBACK and UNSUBACK have the packet id of SUBSCRIBE and UNSUBSCRIBE.',
    test: async gateway => {
      using client = await openClient(gateway)
      for (const id of [1, 300, 65_535]) {
        await client.subscribe([['a', 0]], id)
        client.send(unsubscribeOf(['a'], id))
        await client.expect('unsuback', id)
      }
    },
  },
  {
    id: '3.1.0-1',
    says: 'The first packet of a connection is CONNECT.',
    test: async gateway => {
      const before = await gateway.messageCount()
      const firsts = [
        ...[publishOf({ topic: sensorTopic(), qos: 1 }), subscribeOf([['a', 0]])],
        ...[unsubscribeOf(['a']), acknowledgementOf('pubrel', 1), packet('pingreq', 0)],
        ...[packet('disconnect', 0), header('publish', 0, 100_000)],
      ]
      for (const bytes of firsts) assert.deepEqual(await answersTo(gateway, bytes), [])
      assert.equal(await gateway.messageCount(), before)
    },
  },
  {
    id: '3.1.0-2',
    says: 'A second CONNECT closes the connection.',
    test: async gateway => {
      await refuses(gateway, connectOf({}))
      const both = await answersTo(gateway, connectOf({ id: 'twice' }), connectOf({ id: 'twice' }))
      assert.ok(both.length <= 1)
    },
  },
  {
    id: '3.6.1-1',
    says: 'PUBREL has the flags 0010; any other value closes the connection.',
    test: async gateway => {
      for (let flags = 0; flags < 16; flags++) {
        if (flags !== 2) await refuses(gateway, packet('pubrel', flags, bytesOf('0001')))
      }
      const topic = unique('t')
      using subscriber = await openClient(gateway)
      await subscriber.subscribe([[topic, 2]])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, qos: 2 })
      const { id } = await subscriber.expect('publish')
      subscriber.send(acknowledgementOf('pubrec', id!))
      assert.equal((await subscriber.expect('pubrel', id!)).flags, 2)
    },
  },
  {
    id: '3.12.4-1',
    says: 'The server answers PINGREQ with PINGRESP.',
    test: async gateway => {
      using client = await openClient(gateway)
      assert.deepEqual(await client.ping(), [])
      client.send(packet('pingreq', 0), packet('pingreq', 0))
      const answers = [await client.expect('pingresp'), await client.expect('pingresp')]
      assert.deepEqual(
        answers.map(({ flags, body }) => [flags, body.length]),
        [
          [0, 0],
          [0, 0],
        ],
      )
      await refuses(gateway, bytesOf('c00100'))
    },
  },
  {
    id: '3.14.1-1',
    says: 'Reserved bits of DISCONNECT that are not 0 close the connection.',
    test: async gateway => {
      for (let flags = 1; flags < 16; flags++) await refuses(gateway, packet('disconnect', flags))
      await refuses(gateway, bytesOf('e00100'))
    },
  },
  {
    id: '4.8.0-1',
    says: 'A violation of the protocol closes the connection, and no other connection.',
    test: async gateway => {
      const topic = unique('t')
      using subscriber = await openClient(gateway)
      await subscriber.subscribe([[topic, 1]])
      await refuses(
        ...[gateway, bytesOf('0000'), bytesOf('f000'), bytesOf('30ffffffffff01')],
        ...[bytesOf('20020000'), bytesOf('9003000100'), bytesOf('b0020001'), bytesOf('d000')],
        ...[header('publish', 0, 268_435_455), bytesOf('3003ffff61'), bytesOf('36050001610001')],
      )
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, payload: 'alive', qos: 1 })
      assert.deepEqual(payloads(await received(gateway, subscriber)), ['alive'])
    },
  },
  {
    id: '4.8.0-2',
    says: 'A temporary error while a packet is processed closes the connection of the packet.',
    test: async gateway => {
      // The error here: more QoS 2 messages than gateway.mqtt.qos2InFlightMax wait for PUBREL.
      using client = await openClient(gateway)
      using other = await openClient(gateway)
      const topic = sensorTopic()
      const messages = Array.from({ length: 101 }, (_, n) =>
        publishOf({ topic, qos: 2, id: n + 1 }),
      )
      client.send(...messages)
      assert.ok((await client.untilClosed()).every(({ type }) => type === 'pubrec'))
      await other.ping()
    },
  },
]
