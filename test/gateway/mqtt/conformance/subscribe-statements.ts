import assert from 'node:assert/strict'
import { packet } from '../wire.ts'
import { received, refuses } from './checks.ts'
import { badTexts, bytesOf, openClient, subscribeOf, unique } from './client.ts'
import type { Statement } from './statement.ts'

/** Sections 3.8 and 3.9: SUBSCRIBE and SUBACK. */
export const subscribeStatements: Statement[] = [
  {
    id: '3.8.1-1',
    says: 'SUBSCRIBE has the flags 0010; any other value closes the connection.',
    test: async gateway => {
      for (let flags = 0; flags < 16; flags++) {
        if (flags !== 2) await refuses(gateway, packet('subscribe', flags, bytesOf('000100016100')))
      }
    },
  },
  {
    id: '3.8.3-1',
    says: 'The topic filters of SUBSCRIBE are texts of MQTT.',
    test: gateway => refuses(gateway, ...badTexts.map(text => subscribeOf([[text, 0]]))),
  },
  {
    id: '3.8.3-2',
    says: 'A server without wildcards rejects filters with wildcards. The gateway has wildcards.',
    test: async gateway => {
      using client = await openClient(gateway)
      assert.deepEqual(await client.subscribe([['a/+/b/#', 1]]), [1])
    },
  },
  {
    id: '3.8.3-3',
    says: 'A SUBSCRIBE without a filter closes the connection.',
    test: gateway => refuses(gateway, bytesOf('82020001'), bytesOf('8200')),
  },
  {
    id: '3.8.3-4',
    says: 'Reserved bits of a filter, or QoS 3, close the connection.',
    test: gateway =>
      refuses(gateway, ...[3, 4, 8, 16, 32, 64, 128, 255].map(qos => subscribeOf([['a', qos]]))),
  },
  {
    id: '3.8.4-1',
    says: 'SUBSCRIBE gets a SUBACK.',
    test: async gateway => {
      using client = await openClient(gateway)
      client.send(subscribeOf([['a', 0]], 10))
      const { flags, body } = await client.expect('suback', 10)
      assert.deepEqual([flags, ...body], [0, 0, 10, 0])
    },
  },
  {
    id: '3.8.4-2',
    says: 'SUBACK has the packet id of its SUBSCRIBE.',
    test: async gateway => {
      using client = await openClient(gateway)
      client.send(subscribeOf([['a', 0]], 999), subscribeOf([['b', 0]], 2))
      await client.expect('suback', 999)
      await client.expect('suback', 2)
    },
  },
  {
    id: '3.8.4-3',
    says: 'An equal filter replaces the subscription, and retained messages are sent once more.',
    test: async gateway => {
      const topic = unique('t')
      using client = await openClient(gateway)
      await client.publish({ topic, payload: 'kept', qos: 1, retain: true })
      for (const qos of [1, 0, 0, 2]) {
        await client.subscribe([[topic, qos]])
        const [message, ...more] = await received(gateway, client)
        assert.deepEqual([message?.payload, message?.qos, more], ['kept', Math.min(1, qos), []])
        using publisher = await openClient(gateway)
        await publisher.publish({ topic, payload: 'live', qos: 2 })
        const live = (await received(gateway, client)).map(({ qos: got }) => got)
        assert.deepEqual(live, [qos])
      }
    },
  },
  {
    id: '3.8.4-4',
    says: 'A SUBSCRIBE with several filters is handled as several SUBSCRIBEs with one SUBACK.',
    test: async gateway => {
      const base = unique('t')
      using client = await openClient(gateway)
      const filters = [0, 1, 2, 0].map((qos, n): [string, number] => [`${base}/${n}`, qos])
      assert.deepEqual(await client.subscribe(filters), [0, 1, 2, 0])
      using publisher = await openClient(gateway)
      for (const [topic] of filters) await publisher.publish({ topic, qos: 2 })
      assert.deepEqual(
        (await received(gateway, client)).map(({ qos }) => qos),
        [0, 1, 2, 0],
      )
    },
  },
  {
    id: '3.8.4-5',
    says: 'SUBACK has a return code for each filter, also for a filter that occurs twice.',
    test: async gateway => {
      const topic = unique('t')
      const session = { id: unique('c'), clean: false }
      for (const fields of [{}, session]) {
        using client = await openClient(gateway, fields)
        const codes = await client.subscribe([
          [topic, 1],
          ['other', 2],
          [topic, 0],
          [topic, 2],
        ])
        assert.deepEqual(codes, [1, 2, 0, 2])
        using publisher = await openClient(gateway)
        await publisher.publish({ topic, qos: 2 })
        assert.deepEqual(
          (await received(gateway, client)).map(({ qos }) => qos),
          [2],
        )
      }
    },
  },
  {
    id: '3.8.4-6',
    says: 'A message has at most its own QoS and the QoS of the subscription, also when retained.',
    test: async gateway => {
      using publisher = await openClient(gateway)
      for (const published of [0, 1, 2]) {
        for (const granted of [0, 1, 2]) {
          const base = unique('t')
          const topic = `${base}/x`
          await publisher.publish({ topic, payload: 'kept', qos: published, retain: true })
          using client = await openClient(gateway)
          await client.subscribe([[`${base}/+`, granted]])
          await publisher.publish({ topic, payload: 'live', qos: published })
          const found = (await received(gateway, client)).map(({ payload, qos }) => [payload, qos])
          const qos = Math.min(published, granted)
          assert.deepEqual(found, [
            ['kept', qos],
            ['live', qos],
          ])
        }
      }
    },
  },
  {
    id: '3.9.3-1',
    says: 'The return codes of SUBACK are in the order of the filters.',
    test: async gateway => {
      using client = await openClient(gateway)
      const qos = Array.from({ length: 60 }, (_, n) => (n * 7) % 3)
      const filters = qos.map((value, n): [string, number] => [`order/${n}`, value])
      assert.deepEqual(await client.subscribe(filters), qos)
    },
  },
  {
    id: '3.9.3-2',
    says: 'The return codes of SUBACK are 0, 1, 2 and 0x80.',
    test: async gateway => {
      using client = await openClient(gateway)
      // The gateway serves no subscription to more than 100 levels.
      const deep = 'a/'.repeat(150)
      const codes = await client.subscribe([
        ['a', 0],
        ['b', 1],
        [deep, 1],
        ['c', 2],
      ])
      assert.deepEqual(codes, [0, 1, 0x80, 2])
    },
  },
]
