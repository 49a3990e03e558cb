import assert from 'node:assert/strict'
import { packet } from '../wire.ts'
import { payloads, received, refuses } from './checks.ts'
import {
  acknowledgementOf,
  badTexts,
  bytesOf,
  openClient,
  publishOf,
  subscribeOf,
  unique,
  unsubscribeOf,
} from './client.ts'
import type { Statement } from './statement.ts'

/** Section 4.7, and 3.10: filters and topics, and UNSUBSCRIBE. */
export const topicStatements: Statement[] = [
  {
    id: '3.10.1-1',
    says: 'UNSUBSCRIBE has the flags 0010; any other value closes the connection.',
    test: async gateway => {
      for (let flags = 0; flags < 16; flags++) {
        if (flags !== 2) await refuses(gateway, packet('unsubscribe', flags, bytesOf('0001000161')))
      }
    },
  },
  {
    id: '3.10.3-1',
    says: 'The topic filters of UNSUBSCRIBE are texts of MQTT.',
    test: gateway => refuses(gateway, ...badTexts.map(text => unsubscribeOf([text]))),
  },
  {
    id: '3.10.3-2',
    says: 'An UNSUBSCRIBE without a filter closes the connection.',
    test: gateway => refuses(gateway, bytesOf('a2020001'), bytesOf('a200')),
  },
  {
    id: '3.10.4-1',
    says: 'UNSUBSCRIBE ends the subscription whose filter has the same characters, and no other.',
    test: async gateway => {
      const base = unique('t')
      using client = await openClient(gateway)
      await client.subscribe([
        [`${base}/a`, 1],
        [`${base}/b`, 1],
      ])
      client.send(unsubscribeOf([`${base}/+`, `${base}/A`, `${base}/a`, `${base}/#`], 3))
      await client.expect('unsuback', 3)
      using publisher = await openClient(gateway)
      for (const level of ['a', 'b']) {
        await publisher.publish({ topic: `${base}/${level}`, payload: level, qos: 1 })
      }
      assert.deepEqual(payloads(await received(gateway, client)), ['b'])
    },
  },
  {
    id: '3.10.4-2',
    says: 'After UNSUBSCRIBE no new messages are added to the session.',
    test: async gateway => {
      const topic = unique('t')
      const session = { id: unique('c'), clean: false }
      const client = await openClient(gateway, session)
      await client.subscribe([[topic, 1]])
      client.send(unsubscribeOf([topic]))
      await client.expect('unsuback')
      await client.disconnect()
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, qos: 1 })
      using later = await openClient(gateway, session)
      assert.deepEqual(await received(gateway, later), [])
    },
  },
  {
    id: '3.10.4-3',
    says: 'After UNSUBSCRIBE the delivery of messages that were sent already is completed.',
    test: async gateway => {
      const topic = unique('t')
      const session = { id: unique('c'), clean: false }
      const client = await openClient(gateway, session)
      await client.subscribe([[topic, 2]])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, payload: 'begun', qos: 2 })
      const { id } = await client.expect('publish')
      client.send(unsubscribeOf([topic]))
      await client.expect('unsuback')
      await client.disconnect()
      using later = await openClient(gateway, session)
      await later.expect('publish', id!)
      later.send(acknowledgementOf('pubrec', id!))
      await later.expect('pubrel', id!)
    },
  },
  {
    id: '3.10.4-4',
    says: 'UNSUBSCRIBE gets an UNSUBACK with its packet id.',
    test: async gateway => {
      using client = await openClient(gateway)
      await client.subscribe([['a', 0]])
      client.send(unsubscribeOf(['a'], 4711))
      const { flags, body } = await client.expect('unsuback', 4711)
      assert.deepEqual([flags, body.length], [0, 2])
    },
  },
  {
    id: '3.10.4-5',
    says: 'UNSUBSCRIBE gets an UNSUBACK although no subscription ends.',
    test: async gateway => {
      using client = await openClient(gateway)
      client.send(unsubscribeOf(['unknown', 'a/'.repeat(150)], 5))
      await client.expect('unsuback', 5)
    },
  },
  {
    id: '3.10.4-6',
    says: 'An UNSUBSCRIBE with several filters is handled as several, with one UNSUBACK.',
    test: async gateway => {
      const base = unique('t')
      using client = await openClient(gateway)
      await client.subscribe(
        ['a', 'b', 'c'].map((level): [string, number] => [`${base}/${level}`, 1]),
      )
      client.send(unsubscribeOf([`${base}/a`, `${base}/c`, `${base}/a`], 6))
      await client.expect('unsuback', 6)
      using publisher = await openClient(gateway)
      for (const level of ['a', 'b', 'c']) {
        await publisher.publish({ topic: `${base}/${level}`, payload: level, qos: 1 })
      }
      assert.deepEqual(payloads(await received(gateway, client)), ['b'])
    },
  },
  {
    id: '4.7.1-1',
    says: 'Wildcards are allowed in filters, and not in topic names.',
    test: async gateway => {
      await refuses(gateway, publishOf({ topic: 'a/+', qos: 1 }), publishOf({ topic: 'a/#' }))
      using client = await openClient(gateway)
      assert.deepEqual(
        await client.subscribe([
          ['a/+', 0],
          ['a/#', 0],
        ]),
        [0, 0],
      )
    },
  },
  {
    id: '4.7.1-2',
    says: '# is a complete level and the last character of a filter.',
    test: async gateway => {
      const wrong = ['a#', '#a', 'a/#/b', 'a/b#', '##', '#/', '/#a', 'ab#']
      await refuses(gateway, ...wrong.map(filter => subscribeOf([[filter, 0]])))
      await refuses(gateway, ...wrong.map(filter => unsubscribeOf([filter])))
      const base = unique('t')
      using client = await openClient(gateway)
      assert.deepEqual(
        await client.subscribe([
          ['#', 1],
          [`${base}/#`, 1],
        ]),
        [1, 1],
      )
      using publisher = await openClient(gateway)
      const topics = [base, `${base}/a`, `${base}/a/b`, `${base}/`]
      for (const topic of topics) await publisher.publish({ topic, qos: 1 })
      const found = (await received(gateway, client)).map(({ topic }) => topic)
      assert.deepEqual(
        found.filter(topic => topic.startsWith(base)),
        topics,
      )
    },
  },
  {
    id: '4.7.1-3',
    says: '+ is a complete level at any place of a filter, and matches an empty level.',
    test: async gateway => {
      const wrong = ['a+', '+a', '++', 'a/+b', 'a/b+/c', '+a/b', 'ab+']
      await refuses(gateway, ...wrong.map(filter => subscribeOf([[filter, 0]])))
      const base = unique('t')
      const session = { id: unique('c'), clean: false }
      const filters: [string, number][] = [
        [`+/${base}`, 1],
        [`${base}/+`, 1],
        [`${base}/+/c`, 1],
      ]
      const topics = [`/${base}`, `x/${base}`, `${base}/`, `${base}/a`, `${base}//c`]
      using publisher = await openClient(gateway)
      const client = await openClient(gateway, session)
      await client.subscribe(filters)
      for (const topic of [...topics, base, `${base}/a/b`]) {
        await publisher.publish({ topic, qos: 1, retain: true })
      }
      assert.deepEqual(
        (await received(gateway, client)).map(({ topic }) => topic),
        topics,
      )
      using later = await openClient(gateway)
      await later.subscribe(filters)
      const retained: string[] = []
      while (retained.length < topics.length) retained.push((await later.expect('publish')).topic)
      assert.deepEqual(retained.sort(), topics.toSorted())
      assert.deepEqual(await received(gateway, later), [])
    },
  },
  {
    id: '4.7.2-1',
    says: 'A filter that begins with a wildcard matches no topic that begins with $.',
    test: async gateway => {
      using client = await openClient(gateway)
      await client.subscribe([
        ['#', 1],
        ['+/#', 1],
        ['+/monitor', 1],
      ])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic: '$test/monitor', qos: 1, retain: true })
      // The broker publishes messages of its own below $SYS when clients connect.
      await (await openClient(gateway)).disconnect()
      const topics = (await received(gateway, client)).map(({ topic }) => topic)
      assert.deepEqual(
        topics.filter(topic => topic.startsWith('$')),
        [],
      )
    },
  },
  {
    id: '4.7.3-1',
    says: 'Topic names and filters have at least one character.',
    test: async gateway => {
      await refuses(gateway, publishOf({ topic: '', qos: 1 }), subscribeOf([['', 0]]))
      await refuses(gateway, unsubscribeOf(['']))
      using client = await openClient(gateway)
      assert.deepEqual(
        await client.subscribe([
          ['/', 0],
          [' ', 0],
        ]),
        [0, 0],
      )
    },
  },
  {
    id: '4.7.3-2',
    says: 'Topic names and filters do not contain U+0000.',
    test: async gateway => {
      const text = bytesOf('612f00')
      await refuses(gateway, publishOf({ topic: text }), subscribeOf([[text, 0]]))
      await refuses(gateway, unsubscribeOf([text]))
    },
  },
  {
    id: '4.7.3-3',
    says: 'Topic names and filters have at most 65,535 bytes, and any number of levels.',
    test: async gateway => {
      const long = 'x'.repeat(65_535)
      using client = await openClient(gateway)
      assert.deepEqual(await client.subscribe([[long, 1]]), [1])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic: long, qos: 1 })
      assert.deepEqual(
        (await received(gateway, client)).map(({ topic }) => topic),
        [long],
      )
      for (const topic of ['/'.repeat(200), '/'.repeat(65_535), 'a/'.repeat(30_000)]) {
        await publisher.publish({ topic, qos: 1, retain: true })
        await publisher.publish({ topic, qos: 2 })
      }
    },
  },
  {
    id: '4.7.3-4',
    says: 'Filters match topics character by character, without normalization.',
    test: async gateway => {
      const base = unique('t')
      const [composed, decomposed] = [`${base}/\u00e9`, `${base}/e\u0301`]
      using client = await openClient(gateway)
      await client.subscribe([
        [composed, 1],
        [`${base}/Case`, 1],
        [`${base}/s p`, 1],
      ])
      using publisher = await openClient(gateway)
      for (const topic of [composed, decomposed, `${base}/case`, `${base}/Case`, `${base}/s p`]) {
        await publisher.publish({ topic, qos: 1 })
      }
      const topics = (await received(gateway, client)).map(({ topic }) => topic)
      assert.deepEqual(topics, [composed, `${base}/Case`, `${base}/s p`])
    },
  },
]
