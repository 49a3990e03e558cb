import assert from 'node:assert/strict'
import { payloads, received, storedTopics } from './checks.ts'
import { acknowledgementOf, openClient, publishOf, sensorTopic, unique } from './client.ts'
import type { Statement } from './statement.ts'

/** Sections 4.3 and 4.6: the qualities of service, and the order. */
export const qosStatements: Statement[] = [
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
    },
  },
]
