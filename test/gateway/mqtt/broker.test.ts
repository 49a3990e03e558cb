import { setTimeout as sleep } from 'node:timers/promises'
import { connectAsync } from 'mqtt'
import { describe, expect, it, vi } from 'vitest'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { payloadOf, startTestBroker, topicOf } from './broker-fixture.ts'
import {
  disconnectPacket,
  openDevice,
  openWire,
  pingPacket,
  publishPacket,
  subscribePacket,
  type Wire,
} from './wire.ts'

/**
 * Long enough for a wrong, early acknowledgement to be received. No correct result depends on this
 * time.
 */
const A_WHILE_MS = 50
const PATIENCE = { timeout: 20_000, interval: 5 }

const publish = (n: number, more: { qos?: number; zone?: string } = {}) =>
  publishPacket({ topic: topicOf(more.zone), payload: payloadOf(n), id: n, qos: more.qos ?? 1 })
const replies = async (wire: Wire, count: number) => {
  const all: string[] = []
  while (all.length < count) all.push(await wire.next())
  return all
}

describe('a message that a device publishes', () => {
  it.each([0, 1, 2] as const)('with QoS %i is handed over unchanged', async qos => {
    await using setup = await startTestBroker()
    const client = await connectAsync(`mqtt://127.0.0.1:${setup.port}`, { clientId: 'c' })
    const payload = Buffer.from('{"n":7,"é":"x"}')
    const before = Date.now()
    await client.publishAsync(topicOf('z 1'), payload, { qos })
    await vi.waitFor(() => expect(setup.rig.stored()).toEqual([7]), PATIENCE)
    const handed = setup.rig.handedOver.filter(({ kind }) => kind === 'message')
    expect(handed).toEqual([
      {
        ...{ kind: 'message', topic: topicOf('z 1'), payload },
        receivedAt: expect.any(Number),
        qos2Key: qos === 2 ? { clientId: 'c', packetId: expect.any(Number) } : null,
      },
    ])
    expect((handed[0] as { receivedAt: number }).receivedAt).toBeGreaterThanOrEqual(before)
    expect(setup.acknowledged).toBe(qos === 0 ? 0 : 1)
    await client.endAsync()
  })

  it('is acknowledged only after it was accepted', async () => {
    await using setup = await startTestBroker()
    using wire = await openDevice(setup.port, 'c')
    const resume = setup.rig.hold()
    wire.send(publish(1), publish(2, { qos: 2 }), publish(3))
    await vi.waitFor(() => expect(setup.rig.handedOver).toHaveLength(4), PATIENCE)
    await sleep(A_WHILE_MS)
    expect(wire.waiting).toBe(0)
    resume()
    expect((await replies(wire, 3)).sort()).toEqual(['puback 1', 'puback 3', 'pubrec 2'])
  })

  it('is handed over and acknowledged in the order of receipt', async () => {
    await using setup = await startTestBroker()
    using wire = await openDevice(setup.port, 'c')
    const numbers = Array.from({ length: 500 }, (_, n) => n + 1)
    const resume = setup.rig.hold()
    wire.send(...numbers.map(n => publish(n)))
    await sleep(A_WHILE_MS)
    resume()
    expect(await replies(wire, 500)).toEqual(numbers.map(n => `puback ${n}`))
    expect(setup.rig.stored()).toEqual(numbers)
  })

  it('is forwarded to subscribers after it was accepted, and not when it was refused', async () => {
    await using setup = await startTestBroker()
    using subscriber = await openDevice(setup.port, 's')
    subscriber.send(subscribePacket('building/#'))
    expect(await subscriber.next()).toBe('suback')
    using wire = await openDevice(setup.port, 'c')
    using other = await openDevice(setup.port, 'd')
    setup.rig.refuse()
    wire.send(publish(1, { zone: 'refused' }))
    expect(await wire.next()).toBe('closed')
    const resume = setup.rig.hold()
    other.send(publish(2))
    await sleep(A_WHILE_MS)
    expect(subscriber.waiting).toBe(0)
    resume()
    expect(await subscriber.next()).toBe('publish')
    expect(await other.next()).toBe('puback 2')
    expect(subscriber.waiting).toBe(0)
  })

  it('with empty levels or no route becomes a dead letter and is acknowledged', async () => {
    await using setup = await startTestBroker()
    using wire = await openDevice(setup.port, 'c')
    const topics = ['building//zone/z/sensor/d', '/', 'a', 'building/hq/zone/z/sensor/d/']
    for (const [index, topic] of topics.entries()) {
      wire.send(publishPacket({ topic, payload: '{}', id: index + 1 }))
      expect(await wire.next()).toBe(`puback ${index + 1}`)
    }
    expect(setup.rig.deadLettered).toEqual(topics)
  })
})

describe('a refused message', () => {
  it('closes its connection without a PUBACK, and no later message of the connection is stored', async () => {
    await using setup = await startTestBroker()
    using wire = await openDevice(setup.port, 'c')
    using other = await openDevice(setup.port, 'd')
    setup.rig.refuse()
    const numbers = [1, 2, 3, 4, 5]
    wire.send(...numbers.map(n => publish(n, { zone: n === 2 ? 'refused' : 'z' })))
    const replies: string[] = []
    while (replies.at(-1) !== 'closed') replies.push(await wire.next())
    expect(['closed', 'puback 1']).toContain(replies[0])
    expect(replies.filter(reply => /[2-5]/.test(reply))).toEqual([])
    expect(setup.rig.stored()).toEqual([1])
    expect(setup.refused).toContain('refused')
    other.send(publish(6))
    expect(await other.next()).toBe('puback 6')
    using reconnected = await openDevice(setup.port, 'c')
    reconnected.send(publish(7))
    expect(await reconnected.next()).toBe('puback 7')
    expect(setup.rig.stored()).toEqual([1, 6, 7])
  })
})

describe('a will', () => {
  const will = { topic: topicOf(), payload: payloadOf(9), qos: 1 }

  it('is handed over when the connection breaks, and not after a DISCONNECT', async () => {
    await using setup = await startTestBroker()
    using ended = await openDevice(setup.port, 'a', { will })
    ended.send(disconnectPacket)
    await ended.closed
    expect(setup.rig.stored()).toEqual([])
    using broken = await openDevice(setup.port, 'b', { will: { ...will, qos: 2 } })
    broken.socket.resetAndDestroy()
    await vi.waitFor(() => expect(setup.rig.stored()).toEqual([9]), PATIENCE)
    expect(setup.rig.handedOver.filter(({ kind }) => kind === 'message')).toMatchObject([
      { topic: will.topic, qos2Key: null },
    ])
  })

  it('is refused too after a message of its connection was refused', async () => {
    await using setup = await startTestBroker()
    using wire = await openDevice(setup.port, 'b', { will })
    setup.rig.refuse()
    wire.send(publish(1, { zone: 'refused' }))
    expect(await wire.next()).toBe('closed')
    await vi.waitFor(() => expect(setup.refused).toHaveLength(2), PATIENCE)
    expect(setup.rig.stored()).toEqual([])
  })
})

describe('the broker', () => {
  it('accepts connectionsMax connections and closes any further one', async () => {
    await using setup = await startTestBroker({ connectionsMax: 2, connectTimeoutMs: 600_000 })
    using reply = await openDevice(setup.port, 'a')
    using two = await openDevice(setup.port, 'b')
    using more = await openWire(setup.port)
    expect(await more.next()).toBe('closed')
    expect(setup.broker.connections).toBe(2)
    two.socket.destroy()
    await vi.waitFor(() => expect(setup.broker.connections).toBe(1), PATIENCE)
    using late = await openDevice(setup.port, 'c')
    for (const wire of [reply, late]) {
      wire.send(publish(1))
      expect(await wire.next()).toBe('puback 1')
    }
    expect(setup.boundReports.alarms()).toEqual([
      expect.stringMatching('gateway.mqtt.connectionsMax = 2 is reached'),
    ])
  })

  it('closes the older of two connections with the same client id', async () => {
    await using setup = await startTestBroker()
    using old = await openDevice(setup.port, 'same')
    using young = await openDevice(setup.port, 'same')
    expect(await old.next()).toBe('closed')
    young.send(publish(1))
    expect(await young.next()).toBe('puback 1')
  })

  it('rejects with CannotStart when it cannot listen', async () => {
    await using setup = await startTestBroker()
    const second = startTestBroker({ port: setup.port })
    await expect(second).rejects.toThrow(CannotStart)
    await expect(second).rejects.toThrow(`gateway.mqtt = 127.0.0.1:${setup.port}`)
  })
})

it.each(['$SYS/x', '$share/g/t', '$'])(
  'a message on the topic %s is stored and not forwarded',
  async topic => {
    await using setup = await startTestBroker()
    using subscriber = await openDevice(setup.port, 's')
    subscriber.send(subscribePacket('#'), subscribePacket(topic))
    await subscriber.next()
    await subscriber.next()
    using wire = await openDevice(setup.port, 'c')
    wire.send(publishPacket({ topic, payload: '{}' }), publish(2))
    expect(await wire.next()).toMatch(/^puback/)
    expect(await wire.next()).toBe('puback 2')
    const topics = setup.rig.handedOver.flatMap(reply =>
      reply.kind === 'message' ? [reply.topic] : [],
    )
    expect(topics[0]).toBe(topic)
    // Only the second message is forwarded. It has the other topic to which the client subscribed.
    expect(await subscriber.next()).toMatch(/^publish/)
    subscriber.send(pingPacket)
    expect(await subscriber.next()).toBe('pingresp')
  },
)
