import assert from 'node:assert/strict'
import { payloads, received, refuses, storedTopics } from './checks.ts'
import {
  acknowledgementOf,
  openClient,
  publishOf,
  sensorTopic,
  subscribeOf,
  unique,
} from './client.ts'
import type { Statement } from './statement.ts'

/** Section 3.3, and 4.3: PUBLISH, retained messages and the qualities of service. */
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
      assert.ok(!payloads(await received(gateway, client)).includes('old'))
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
    says: 'A message without payload and with RETAIN 1 is delivered, and ends the retained message.',
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
  {
    id: '4.3.1-1',
    says: 'The server sends a message of QoS 0 once, with QoS 0 and DUP 0.',
    test: async gateway => {
      const topic = unique('t')
      using subscriber = await openClient(gateway)
      await subscriber.subscribe([[topic, 2]])
      using publisher = await openClient(gateway)
      await publisher.publish({ topic })
      const found = await received(gateway, subscriber)
      assert.deepEqual(
        found.map(({ qos, dup }) => [qos, dup]),
        [[0, false]],
      )
    },
  },
  {
    id: '4.3.2-1',
    says: 'As sender of QoS 1 the server keeps a message until its PUBACK.',
    test: async gateway => {
      const topic = unique('t')
      const session = { id: unique('c'), clean: false }
      const first = await openClient(gateway, session)
      await first.subscribe([[topic, 1]])
      using publisher = await openClient(gateway)
      for (const payload of ['1', '2', '3']) await publisher.publish({ topic, payload, qos: 1 })
      const messages = await received(gateway, first)
      assert.ok(messages.every(({ qos, dup }) => qos === 1 && !dup))
      first.send(acknowledgementOf('puback', messages[1]!.id!))
      await first.ping()
      first.abort()
      using second = await openClient(gateway, session)
      const again = await received(gateway, second)
      assert.deepEqual(
        again.map(({ payload, dup, id }) => [payload, dup, id]),
        [messages[0]!, messages[2]!].map(({ payload, id }) => [payload, true, id]),
      )
    },
  },
  {
    id: '4.3.2-2',
    says: 'As receiver of QoS 1 the server owns the message at PUBACK; a later one is a new one.',
    test: async gateway => {
      const topic = sensorTopic()
      using client = await openClient(gateway)
      for (const dup of [false, true, true]) {
        await client.publish({ topic, payload: '7', qos: 1, id: 5, dup })
      }
      assert.equal(storedTopics(gateway, topic).length, 3)
    },
  },
  {
    id: '4.3.3-1',
    says: 'As sender of QoS 2 the server sends PUBREL at PUBREC, and not the message after it.',
    test: async gateway => {
      const topic = unique('t')
      const session = { id: unique('c'), clean: false }
      const client = await openClient(gateway, session)
      await client.subscribe([[topic, 2]])
      using publisher = await openClient(gateway)
      for (const payload of ['1', '2', '3']) await publisher.publish({ topic, payload, qos: 2 })
      const messages = await received(gateway, client)
      const ids = messages.map(({ id }) => id!)
      for (const id of ids) client.send(acknowledgementOf('pubrec', id))
      for (const id of ids) await client.expect('pubrel', id)
      client.send(acknowledgementOf('pubrec', ids[0]!))
      await client.expect('pubrel', ids[0])
      for (const id of ids) client.send(acknowledgementOf('pubcomp', id))
      await client.disconnect()
      using later = await openClient(gateway, session)
      assert.deepEqual(await received(gateway, later), [])
      // A PUBREC for a message that the server does not know is answered, too.
      later.send(acknowledgementOf('pubrec', 4711))
      await later.expect('pubrel', 4711)
    },
  },
  {
    id: '4.3.3-2',
    says: 'As receiver of QoS 2 the server answers each PUBLISH and PUBREL, and stores once.',
    test: async gateway => {
      const topic = sensorTopic()
      const message = publishOf({ topic, payload: '7', qos: 2, id: 5 })
      using client = await openClient(gateway)
      for (let time = 0; time < 3; time++) {
        client.send(message)
        await client.expect('pubrec', 5)
      }
      for (let time = 0; time < 3; time++) {
        client.send(acknowledgementOf('pubrel', 5))
        await client.expect('pubcomp', 5)
      }
      assert.equal(storedTopics(gateway, topic).length, 1)
      await client.publish({ topic, payload: '7', qos: 2, id: 5 })
      assert.equal(storedTopics(gateway, topic).length, 2)
      client.send(acknowledgementOf('pubrel', 4242))
      await client.expect('pubcomp', 4242)
    },
  },
  {
    id: '4.6.0-2',
    says: 'PUBACKs are in the order of the PUBLISH packets.',
    test: async gateway => {
      using client = await openClient(gateway)
      const ids = Array.from({ length: 200 }, (_, n) => 1 + ((n * 7919) % 60_000))
      client.send(...ids.map(id => publishOf({ topic: sensorTopic(), qos: 1, id })))
      for (const id of ids) await client.expect('puback', id)
    },
  },
  {
    id: '4.6.0-3',
    says: 'PUBRECs are in the order of the PUBLISH packets.',
    test: async gateway => {
      using client = await openClient(gateway)
      const ids = Array.from({ length: 50 }, (_, n) => 1 + ((n * 7919) % 60_000))
      client.send(...ids.map(id => publishOf({ topic: sensorTopic(), qos: 2, id })))
      for (const id of ids) await client.expect('pubrec', id)
    },
  },
  {
    id: '4.6.0-4',
    says: 'PUBRELs are in the order of the PUBREC packets.',
    test: async gateway => {
      const topic = unique('t')
      using client = await openClient(gateway)
      await client.subscribe([[topic, 2]])
      using publisher = await openClient(gateway)
      for (let id = 1; id <= 20; id++) await publisher.publish({ topic, qos: 2, id })
      const ids = (await received(gateway, client)).map(({ id }) => id!).reverse()
      client.send(...ids.map(id => acknowledgementOf('pubrec', id)))
      for (const id of ids) await client.expect('pubrel', id)
    },
  },
  {
    id: '4.6.0-5',
    says: 'By default every topic is an ordered topic.',
    test: async gateway => {
      const topics = ['a', 'b', 'c'].map(level => `${unique('t')}/${level}`)
      const session = { id: unique('c'), clean: false }
      const subscriber = await openClient(gateway, session)
      for (const topic of topics) await subscriber.subscribe([[topic, 1]])
      await subscriber.disconnect()
      using publisher = await openClient(gateway)
      const numbers = Array.from({ length: 60 }, (_, n) => n + 1)
      const topicOf = (n: number) => topics[n % topics.length]!
      const all = numbers.map(id => publishOf({ topic: topicOf(id), payload: `${id}`, qos: 1, id }))
      publisher.send(...all)
      // The session returns while its queue still grows.
      using later = await openClient(gateway, session)
      for (const id of numbers) await publisher.expect('puback', id)
      const messages = await received(gateway, later)
      for (const topic of topics) {
        const own = messages.filter(message => message.topic === topic)
        const expected = numbers.filter(n => topicOf(n) === topic).map(String)
        assert.deepEqual(payloads(own), expected)
      }
    },
  },
  {
    id: '4.6.0-6',
    says: 'Messages of a topic and QoS reach a subscriber in the order in which they came.',
    test: async gateway => {
      const topic = unique('t')
      using subscriber = await openClient(gateway)
      await subscriber.subscribe([[topic, 1]])
      using publisher = await openClient(gateway)
      const numbers = Array.from({ length: 100 }, (_, n) => n + 1)
      // Retained messages are no exception.
      publisher.send(
        ...numbers.map(id =>
          publishOf({ topic, payload: `${id}`, qos: 1, id, retain: id % 3 === 0 }),
        ),
      )
      for (const id of numbers) await publisher.expect('puback', id)
      assert.deepEqual(payloads(await received(gateway, subscriber)), numbers.map(String))
      publisher.send(subscribeOf([[topic, 0]], 9))
    },
  },
]
