import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectMqtt, type IClientOptions } from 'mqtt'
import { describe, expect, it, vi } from 'vitest'
import { payloadOf, startTestBroker, type TestBroker, topicOf } from '../broker-fixture.ts'
import {
  openDevice,
  packet,
  pingPacket,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
} from '../wire.ts'

const PATIENCE = { timeout: 20_000, interval: 5 }
const A_WHILE_MS = 100
const session = { clean: false }

type Setup = Pick<TestBroker<never>, 'port'>

/** Connects a client library; records the payloads and the topics that it receives. */
async function connect({ port }: Setup, clientId: string, options: IClientOptions = {}) {
  const received: string[] = []
  const client = connectMqtt({ port, clientId, reconnectPeriod: 0, ...options })
  // A session sends its messages at once, so the listeners must be there before CONNACK.
  client.on('message', (_, payload) => received.push(payload.toString()))
  client.on('error', () => {})
  const sessionPresent = await new Promise<boolean>(resolve => {
    client.once('connect', connack => resolve(connack.sessionPresent))
  })
  return { client, received, sessionPresent, [Symbol.asyncDispose]: () => client.endAsync(true) }
}

/** Leaves a session with a subscription behind. */
async function abandonSession({ port }: Setup, client: string, filter: string) {
  const wire = await openDevice(port, client, session)
  wire.send(subscribePacket(filter, 1))
  const answer = await wire.next()
  wire.socket.destroy()
  await wire.closed
  return answer
}

/** Checks that a device still gets its acknowledgements. */
async function serves({ port }: Setup) {
  using wire = await openDevice(port, 'device')
  wire.send(publishPacket({ topic: topicOf(), payload: payloadOf(1), id: 5 }))
  expect(await wire.next()).toBe('puback 5')
}

const alarm = (key: string) => expect.stringMatching(`^gateway\\.mqtt\\.${key} = \\d+ is reached`)

describe('the bound of', () => {
  it('sessions discards the session whose client is away for longest', async () => {
    await using setup = await startTestBroker({ sessionsMax: 3 })
    for (const client of ['a', 'b', 'c', 'd']) await abandonSession(setup, client, '#')
    expect(setup.broker.memory()).toMatchObject({ sessions: 3, subscriptions: 3 })
    expect(setup.boundReports.alarms()).toEqual([alarm('sessionsMax')])
    const present = async (clientId: string) => {
      await using device = await connect(setup, clientId, session)
      return device.sessionPresent
    }
    expect([await present('a'), await present('b')]).toEqual([false, true])
    await serves(setup)
  })

  it('sessions refuses a subscription while all clients are connected', async () => {
    await using setup = await startTestBroker({ sessionsMax: 1 })
    using first = await openDevice(setup.port, 'a', session)
    using second = await openDevice(setup.port, 'b', session)
    using clean = await openDevice(setup.port, 'c')
    for (const wire of [first, second, clean]) wire.send(subscribePacket('x/#', 1))
    for (const wire of [first, second, clean]) expect(await wire.next()).toBe('suback')
    expect(setup.broker.memory()).toMatchObject({ sessions: 1, subscriptions: 2 })
    await serves(setup)
  })

  it('subscriptions of a client, and of all clients, refuses further ones by SUBACK', async () => {
    await using setup = await startTestBroker({ subscriptionsPerClientMax: 3, subscriptionsMax: 5 })
    await using greedy = await connect(setup, 'greedy')
    await using other = await connect(setup, 'other')
    const subscribe = ({ client }: typeof greedy, ...topics: string[]) =>
      new Promise(resolve => {
        client.subscribe(topics, { qos: 0 }, (_, __, suback) => resolve(suback?.granted))
      })
    expect(await subscribe(greedy, 'a', 'b', 'c', 'd')).toEqual([0, 0, 0, 128])
    expect(await subscribe(other, 'a', 'b', 'c')).toEqual([0, 0, 128])
    await greedy.client.unsubscribeAsync('a')
    expect(await subscribe(other, 'c')).toEqual([0])
    expect(setup.boundReports.alarms()).toEqual([
      ...[alarm('subscriptionsPerClientMax'), alarm('subscriptionsMax')],
    ])
    await greedy.client.endAsync(true)
    await vi.waitFor(() => expect(setup.broker.memory().subscriptions).toBe(3), PATIENCE)
    await serves(setup)
  })

  it('subscriptions counts a filter of many characters or levels as several', async () => {
    await using setup = await startTestBroker({ subscriptionsPerClientMax: 12 })
    using wire = await openDevice(setup.port, 'c')
    const codeOf = async (filter: string) => {
      wire.send(subscribePacket(filter))
      return (await wire.nextReply())!.body[2]
    }
    expect(await codeOf('x'.repeat(13 * 256))).toBe(0x80)
    expect(await codeOf('x'.repeat(6 * 256))).toBe(0)
    expect(await codeOf('/'.repeat(60))).toBe(0x80)
    expect(await codeOf('/'.repeat(49))).toBe(0)
    expect([await codeOf('a'), await codeOf('b')]).toEqual([0, 0x80])
    wire.send(unsubscribePacket('x'.repeat(6 * 256)))
    expect(await wire.next()).toBe('unsuback')
    expect(await codeOf('/'.repeat(60))).toBe(0x80)
    expect(await codeOf('/'.repeat(59))).toBe(0)
    expect(setup.broker.memory().subscriptions).toBe(3)
    wire.socket.destroy()
    await vi.waitFor(() => expect(setup.broker.memory().subscriptions).toBe(0), PATIENCE)
  })

  it('queued messages drops later ones for a session that is away, and costs it no time', async () => {
    await using setup = await startTestBroker({ queuedMessagesMax: 3 })
    await abandonSession(setup, 'away', 'building/#')
    await using device = await connect(setup, 'device')
    const publish = (n: number) => device.client.publishAsync(topicOf(), payloadOf(n), { qos: 1 })
    for (let n = 1; n <= 10; n++) await publish(n)
    expect(setup.broker.memory()).toMatchObject({ queuedMessages: 3 })
    // The session is suspended: only the first message beyond the bound was matched with it.
    expect(setup.boundReports.alarms()).toEqual([
      expect.stringMatching(/^gateway\.mqtt\.queuedMessagesMax = 3 is reached.*\(once .*"away"\)$/),
    ])
    await using back = await connect(setup, 'away', session)
    await vi.waitFor(() => expect(back.received).toEqual([1, 2, 3].map(payloadOf)), PATIENCE)
    await publish(11)
    await vi.waitFor(() => expect(back.received.at(-1)).toBe(payloadOf(11)), PATIENCE)
    await vi.waitFor(() => expect(setup.broker.memory().queuedMessages).toBe(0), PATIENCE)
    await serves(setup)
  })

  it('queued bytes leaves each session its own share', async () => {
    await using setup = await startTestBroker({ queuedMaxBytes: 16_384, sessionsMax: 4 })
    await abandonSession(setup, 'greedy', 'building/hq/zone/greedy/#')
    await abandonSession(setup, 'modest', 'building/hq/zone/modest/#')
    await using device = await connect(setup, 'device')
    const payload = `"${'x'.repeat(700)}"`
    for (let n = 1; n <= 20; n++) {
      await device.client.publishAsync(topicOf('greedy'), payload, { qos: 1 })
    }
    const { queuedBytes } = setup.broker.memory()
    expect(queuedBytes).toBeGreaterThan(8192)
    expect(queuedBytes).toBeLessThanOrEqual(8192 + 2048)
    await device.client.publishAsync(topicOf('modest'), payload, { qos: 1 })
    expect(setup.broker.memory().queuedBytes).toBeGreaterThan(queuedBytes)
    expect(setup.boundReports.alarms()).toEqual([alarm('queuedMaxBytes')])
    await serves(setup)
  })

  it('queued bytes counts the messages of sessions that end their subscription, too', async () => {
    await using setup = await startTestBroker({ queuedMaxBytes: 4096, sessionsMax: 4 })
    using device = await openDevice(setup.port, 'device')
    for (let n = 1; n <= 20; n++) {
      using wire = await openDevice(setup.port, `c${n}`, session)
      wire.send(subscribePacket(topicOf(), 1))
      expect(await wire.next()).toBe('suback')
      device.send(publishPacket({ topic: topicOf(), payload: payloadOf(n), id: n }))
      expect(await device.next()).toBe(`puback ${n}`)
      expect(await wire.next()).toBe('publish')
      wire.send(unsubscribePacket(topicOf()))
      expect(await wire.next()).toBe('unsuback')
      wire.socket.destroy()
      await wire.closed
    }
    expect(setup.broker.memory()).toMatchObject({ sessions: 4, subscriptions: 0 })
    expect(setup.broker.memory().queuedMessages).toBe(4)
    expect(setup.boundReports.alarms()).toEqual([alarm('sessionsMax')])
    // A session without subscriptions counts until its queue is empty.
    for (let n = 17; n <= 20; n++) {
      using wire = await openDevice(setup.port, `c${n}`, session)
      const { body } = (await wire.nextReply())!
      const id = body.readUInt16BE(2 + body.readUInt16BE(0))
      wire.send(packet('puback', 0, Buffer.from([id >> 8, id & 255])), pingPacket)
      expect(await wire.next()).toBe('pingresp')
    }
    await vi.waitFor(
      () => expect(setup.broker.memory()).toMatchObject({ sessions: 0, queuedMessages: 0 }),
      PATIENCE,
    )
  })

  it('retained messages keeps those of earlier topics; a further message is only stored', async () => {
    await using setup = await startTestBroker({ retainedMax: 2, retainedMaxBytes: 4096 })
    await using device = await connect(setup, 'device')
    const publish = (zone: string, payload: string) =>
      device.client.publishAsync(topicOf(zone), payload, { qos: 1, retain: true })
    for (const [n, zone] of ['a', 'b', 'c'].entries()) await publish(zone, payloadOf(n))
    await publish('a', `"${'x'.repeat(5000)}"`)
    await publish('b', payloadOf(7))
    expect(setup.broker.memory()).toMatchObject({ retainedMessages: 2 })
    expect(setup.boundReports.alarms()).toEqual([alarm('retainedMax'), alarm('retainedMaxBytes')])
    await using late = await connect(setup, 'late')
    await late.client.subscribeAsync(['building/#', topicOf('a')], { qos: 1 })
    await vi.waitFor(() => expect(late.received).toHaveLength(2), PATIENCE)
    await sleep(A_WHILE_MS)
    expect(late.received.toSorted()).toEqual([payloadOf(0), payloadOf(7)])
    await publish('a', '')
    expect(setup.broker.memory()).toMatchObject({ retainedMessages: 1 })
    expect(setup.rig.stored().filter(n => !Number.isNaN(n))).toEqual([0, 1, 2, 7])
    await serves(setup)
  })

  it('wills refuses the CONNECT of a client with a larger will', async () => {
    await using setup = await startTestBroker({ willMaxBytes: 100 })
    const will = { topic: 'x', payload: 'y'.repeat(100), qos: 1 }
    await expect(openDevice(setup.port, 'c', { will })).rejects.toThrow('answered closed')
    expect(setup.boundReports.alarms()).toEqual([alarm('willMaxBytes')])
    using _small = await openDevice(setup.port, 'c', { will: { ...will, payload: 'y' } })
    await serves(setup)
  })
})

describe('a search for retained messages', () => {
  it('finds the messages of each subscription, and lets the subscriber go on afterwards', async () => {
    await using setup = await startTestBroker()
    await using device = await connect(setup, 'device')
    for (let n = 0; n < 1500; n++) {
      device.client.publish(`retained/${n}`, payloadOf(n), { qos: 0, retain: true })
    }
    await vi.waitFor(() => expect(setup.broker.memory().retainedMessages).toBe(1500), PATIENCE)
    const replies: string[] = []
    using wire = await openDevice(setup.port, 'searching')
    wire.send(subscribePacket('retained/7', 0), subscribePacket('other/#', 0), pingPacket)
    for (let count = 0; count < 4; count++) replies.push(await wire.next())
    expect(replies.toSorted()).toEqual(['pingresp', 'publish', 'suback', 'suback'])
    wire.send(pingPacket)
    expect(await wire.next()).toBe('pingresp')
  })
})

describe('SUBSCRIBE packets that wait for their retained messages', () => {
  it('are answered one after the other, and later packets afterwards', async () => {
    await using setup = await startTestBroker()
    await using device = await connect(setup, 'device')
    for (let n = 0; n < 600; n++) {
      device.client.publish(`retained/${n}`, payloadOf(n), { qos: 0, retain: true })
    }
    await vi.waitFor(() => expect(setup.broker.memory().retainedMessages).toBe(600), PATIENCE)
    using wire = await openDevice(setup.port, 'searching')
    wire.send(...Array.from({ length: 3 }, () => subscribePacket('retained/#', 0)))
    const replies: string[] = []
    while (replies.length < 1803) replies.push(await wire.next())
    expect(replies.slice(0, 3)).toEqual(['suback', 'suback', 'suback'])
    expect(new Set(replies.slice(3))).toEqual(new Set(['publish']))
    wire.send(pingPacket)
    expect(await wire.next()).toBe('pingresp')
  })
})

describe('a session that is cleaned', () => {
  it('leaves no subscription, no message and no packet id behind', async () => {
    await using setup = await startTestBroker()
    await abandonSession(setup, 'c', 'building/#')
    await using device = await connect(setup, 'device')
    await device.client.publishAsync(topicOf(), payloadOf(1), { qos: 1 })
    expect(setup.broker.memory()).toMatchObject({ sessions: 1, queuedMessages: 1 })
    await using cleaned = await connect(setup, 'c', { clean: true })
    expect(setup.broker.memory()).toMatchObject({
      ...{ sessions: 0, subscriptions: 0, queuedMessages: 0, queuedBytes: 0 },
    })
    await sleep(A_WHILE_MS)
    expect(cleaned.received).toEqual([])
  })
})
