import assert from 'node:assert/strict'
import { payloads, received, refuses, storedTopics } from './checks.ts'
import { openClient, publishOf, sensorTopic, unique } from './client.ts'
import type { Statement } from './statement.ts'

/** Section 3.3: PUBLISH and retained messages. */
export const publishStatements: Statement[] = [
  {
    id: '3.3.1-2',
    says: 'A message with QoS 0 has DUP 0.',
    test: async gateway => {
      await refuses(gateway, publishOf({ topic: sensorTopic(), dup: true }))
      using client = await openClient(gateway)
      await client.subscribe([['dup0', 0]])
      await client.publish({ topic: sensorTopic(), qos: 1, dup: true })
      client.send(publishOf({ topic: 'dup0', qos: 1, id: 2, dup: true }))
      const messages = [await client.next(), await client.next()]
      assert.equal(messages.find(message => message!.type === 'publish')!.dup, false)
    },
  },
  {
    id: '3.3.1-4',
    says: 'A PUBLISH with QoS 3 closes the connection.',
    test: gateway => refuses(gateway, publishOf({ topic: sensorTopic(), qos: 3 })),
  },
  {
    id: '3.3.1-5',
    says: 'A message with RETAIN 1 is kept with its QoS, for later subscriptions of its topic.',
    test: async gateway => {
      using publisher = await openClient(gateway)
      for (const qos of [0, 1, 2]) {
        const topic = unique('t')
        await publisher.publish({ topic, payload: 'kept', qos, retain: true })
        using client = await openClient(gateway)
        await client.subscribe([[topic, 2]])
        const [message] = await received(gateway, client)
        assert.deepEqual([message?.payload, message?.qos], ['kept', qos])
      }
    },
  },
  {
    id: '3.3.1-6',
    says: 'A new subscription gets the last retained message of each matching topic.',
    test: async gateway => {
      const base = unique('t')
      using publisher = await openClient(gateway)
      for (const [level, payload] of [
        ['a', 'old'],
        ['a', 'new'],
        ['b', 'other'],
      ] as const) {
        await publisher.publish({ topic: `${base}/${level}`, payload, qos: 1, retain: true })
      }
      for (const filter of [`${base}/#`, `${base}/+`, `+/a`]) {
        using client = await openClient(gateway)
        await client.subscribe([[filter, 1]])
        const own = (await received(gateway, client)).filter(({ topic }) => topic.startsWith(base))
        assert.deepEqual(payloads(own).sort(), filter === '+/a' ? ['new'] : ['new', 'other'])
      }
    },
  },
  {
    id: '3.3.1-7',
    says: 'A retained message with QoS 0 replaces the retained message of its topic.',
    test: async gateway => {
      const topic = unique('t')
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, payload: 'old', qos: 1, retain: true })
      await publisher.publish({ topic, payload: 'new', qos: 0, retain: true })
      using client = await openClient(gateway)
      await client.subscribe([[topic, 2]])
      assert.deepEqual(payloads(await received(gateway, client)), ['new'])
    },
  },
  {
    id: '3.3.1-8',
    says: 'A message that a new subscription gets because it is retained has RETAIN 1.',
    test: async gateway => {
      const topic = unique('t')
      using client = await openClient(gateway)
      await client.publish({ topic, qos: 1, retain: true })
      await client.subscribe([[topic, 1]])
      assert.deepEqual(
        (await received(gateway, client)).map(({ retain }) => retain),
        [true],
      )
    },
  },
  {
    id: '3.3.1-9',
    says: 'A message to an established subscription has RETAIN 0, however it was published.',
    test: async gateway => {
      const topic = unique('t')
      const session = { id: unique('c'), clean: false }
      const first = await openClient(gateway, session)
      await first.subscribe([[topic, 1]])
      await first.disconnect()
      using live = await openClient(gateway)
      await live.subscribe([[topic, 1]])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, qos: 1, retain: true })
      using later = await openClient(gateway, session)
      for (const client of [live, later]) {
        assert.deepEqual(
          (await received(gateway, client)).map(({ retain }) => retain),
          [false],
        )
      }
    },
  },
  {
    id: '3.3.1-10',
    says: 'A message without payload, with RETAIN 1, is delivered and ends the retained message.',
    test: async gateway => {
      const topic = unique('t')
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, payload: 'kept', qos: 1, retain: true })
      using live = await openClient(gateway)
      await live.subscribe([[topic, 1]])
      await publisher.publish({ topic, payload: '', qos: 1, retain: true })
      assert.deepEqual(payloads(await received(gateway, live)), ['kept', ''])
      using later = await openClient(gateway)
      await later.subscribe([[topic, 1]])
      assert.deepEqual(await received(gateway, later), [])
    },
  },
  {
    id: '3.3.1-11',
    says: 'A message without payload is not retained.',
    test: async gateway => {
      const topic = unique('t')
      using client = await openClient(gateway)
      await client.publish({ topic, payload: '', qos: 1, retain: true })
      await client.subscribe([[topic, 1]])
      assert.deepEqual(await received(gateway, client), [])
    },
  },
  {
    id: '3.3.1-12',
    says: 'A message with RETAIN 0 is not retained, and replaces no retained message.',
    test: async gateway => {
      const topic = unique('t')
      using client = await openClient(gateway)
      await client.publish({ topic, payload: 'kept', qos: 1, retain: true })
      await client.publish({ topic, payload: 'passing', qos: 1 })
      await client.publish({ topic, payload: '', qos: 1 })
      await client.subscribe([[topic, 1]])
      assert.deepEqual(payloads(await received(gateway, client)), ['kept'])
    },
  },
  {
    id: '3.3.2-1',
    says: 'The topic name is the first field of PUBLISH, and a text of MQTT.',
    test: async gateway => {
      const bad = ['ff', '6100', 'eda080', 'c3', ''].map(hex => Buffer.from(hex, 'hex'))
      await refuses(gateway, ...bad.map(topic => publishOf({ topic, qos: 1 })))
      await refuses(gateway, Buffer.from('3000', 'hex'), Buffer.from('300100', 'hex'))
    },
  },
  {
    id: '3.3.2-2',
    says: 'The topic name of a PUBLISH has no wildcards.',
    test: gateway =>
      refuses(
        gateway,
        ...['#', '+', 'a/#', 'a/+/b', 'a+', '#a'].map(topic => publishOf({ topic, qos: 1 })),
      ),
  },
  {
    id: '3.3.2-3',
    says: 'The topic name of a PUBLISH to a subscriber matches its filter.',
    test: async gateway => {
      const base = unique('t')
      using subscriber = await openClient(gateway)
      await subscriber.subscribe([[`${base}/+/x`, 1]])
      using publisher = await openClient(gateway)
      for (const level of ['a/x', 'a/y', 'x', 'a/b/x', '/x', 'A/x']) {
        await publisher.publish({ topic: `${base}/${level}`, payload: level, qos: 1 })
      }
      assert.deepEqual(payloads(await received(gateway, subscriber)), ['a/x', '/x', 'A/x'])
    },
  },
  {
    id: '3.3.4-1',
    says: 'A PUBLISH gets no answer, PUBACK or PUBREC, for QoS 0, 1 or 2.',
    test: async gateway => {
      using client = await openClient(gateway)
      client.send(publishOf({ topic: sensorTopic() }))
      assert.deepEqual(await client.ping(), [])
      client.send(publishOf({ topic: sensorTopic(), qos: 1, id: 3 }))
      await client.expect('puback', 3)
      client.send(publishOf({ topic: sensorTopic(), qos: 2, id: 4 }))
      await client.expect('pubrec', 4)
      assert.deepEqual(await client.ping(), [])
    },
  },
  {
    id: '3.3.5-1',
    says: 'A client with several matching subscriptions gets the highest QoS among them.',
    test: async gateway => {
      const base = unique('t')
      const session = { id: unique('c'), clean: false }
      const filters: [string, number][] = [
        [`${base}/#`, 0],
        [`${base}/a`, 2],
        [`${base}/+`, 1],
      ]
      using publisher = await openClient(gateway)
      for (const fields of [{}, session]) {
        using client = await openClient(gateway, fields)
        await client.subscribe(filters)
        await publisher.publish({ topic: `${base}/a`, payload: 'two', qos: 2 })
        await publisher.publish({ topic: `${base}/b`, payload: 'one', qos: 2 })
        await publisher.publish({ topic: `${base}/b/c`, payload: 'zero', qos: 2 })
        const found = (await received(gateway, client)).map(({ payload, qos }) => [payload, qos])
        assert.deepEqual(found, [
          ['two', 2],
          ['one', 1],
          ['zero', 0],
        ])
        await client.disconnect()
      }
      await publisher.publish({ topic: `${base}/a`, payload: 'away', qos: 2 })
      using later = await openClient(gateway, session)
      const away = (await received(gateway, later)).filter(({ dup }) => !dup)
      assert.deepEqual(
        away.map(({ payload, qos }) => [payload, qos]),
        [['away', 2]],
      )
    },
  },
  {
    id: '3.3.5-2',
    says: 'A PUBLISH that is not allowed is acknowledged, or its connection is closed.',
    test: async gateway => {
      // Topics that begin with $ are not for devices: the message becomes a dead letter.
      const topic = `$${unique('t')}`
      using subscriber = await openClient(gateway)
      await subscriber.subscribe([[topic, 1]])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic, qos: 1, id: 8 })
      assert.deepEqual(await received(gateway, subscriber), [])
      assert.deepEqual(storedTopics(gateway, topic), [topic])
    },
  },
]
