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

/** Long enough for a slip to show; what is right does not depend on it. */
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
  it.each([0, 1, 2] as const)('with QoS %i is handed over as it came', async qos => {
    await using at = await startTestBroker()
    const client = await connectAsync(`mqtt://127.0.0.1:${at.port}`, { clientId: 'c' })
    const payload = Buffer.from('{"n":7,"é":"x"}')
    const before = Date.now()
    await client.publishAsync(topicOf('z 1'), payload, { qos })
    await vi.waitFor(() => expect(at.rig.stored()).toEqual([7]), PATIENCE)
    const handed = at.rig.handedOver.filter(({ kind }) => kind === 'message')
    expect(handed).toEqual([
      {
        ...{ kind: 'message', topic: topicOf('z 1'), payload },
        receivedAt: expect.any(Number),
        qos2Key: qos === 2 ? { clientId: 'c', packetId: expect.any(Number) } : null,
      },
    ])
    expect((handed[0] as { receivedAt: number }).receivedAt).toBeGreaterThanOrEqual(before)
    expect(at.acknowledged).toBe(qos === 0 ? 0 : 1)
    await client.endAsync()
  })

  it('is acknowledged only when it was accepted', async () => {
    await using at = await startTestBroker()
    using wire = await openDevice(at.port, 'c')
    const letGo = at.rig.hold()
    wire.send(publish(1), publish(2, { qos: 2 }), publish(3))
    await vi.waitFor(() => expect(at.rig.handedOver).toHaveLength(4), PATIENCE)
    await sleep(A_WHILE_MS)
    expect(wire.waiting).toBe(0)
    letGo()
    expect((await replies(wire, 3)).sort()).toEqual(['puback 1', 'puback 3', 'pubrec 2'])
  })

  it('is handed over and acknowledged in the order in which it came', async () => {
    await using at = await startTestBroker()
    using wire = await openDevice(at.port, 'c')
    const numbers = Array.from({ length: 500 }, (_, n) => n + 1)
    const letGo = at.rig.hold()
    wire.send(...numbers.map(n => publish(n)))
    await sleep(A_WHILE_MS)
    letGo()
    expect(await replies(wire, 500)).toEqual(numbers.map(n => `puback ${n}`))
    expect(at.rig.stored()).toEqual(numbers)
  })

  it('goes on to subscribers once it was accepted, and not when it was refused', async () => {
    await using at = await startTestBroker()
    using subscriber = await openDevice(at.port, 's')
    subscriber.send(subscribePacket('building/#'))
    expect(await subscriber.next()).toBe('suback')
    using wire = await openDevice(at.port, 'c')
    using other = await openDevice(at.port, 'd')
    at.rig.refuse()
    wire.send(publish(1, { zone: 'refused' }))
    expect(await wire.next()).toBe('closed')
    const letGo = at.rig.hold()
    other.send(publish(2))
    await sleep(A_WHILE_MS)
    expect(subscriber.waiting).toBe(0)
    letGo()
    expect(await subscriber.next()).toBe('publish')
    expect(await other.next()).toBe('puback 2')
    expect(subscriber.waiting).toBe(0)
  })

  it('with empty levels or no route is buried and acknowledged', async () => {
    await using at = await startTestBroker()
    using wire = await openDevice(at.port, 'c')
    const topics = ['building//zone/z/sensor/d', '/', 'a', 'building/hq/zone/z/sensor/d/']
    for (const [at2, topic] of topics.entries()) {
      wire.send(publishPacket({ topic, payload: '{}', id: at2 + 1 }))
      expect(await wire.next()).toBe(`puback ${at2 + 1}`)
    }
    expect(at.rig.deadLettered).toEqual(topics)
  })
})

describe('a refused message', () => {
  it('closes its connection without a PUBACK, and nothing later of it is kept', async () => {
    await using at = await startTestBroker()
    using wire = await openDevice(at.port, 'c')
    using other = await openDevice(at.port, 'd')
    at.rig.refuse()
    const numbers = [1, 2, 3, 4, 5]
    wire.send(...numbers.map(n => publish(n, { zone: n === 2 ? 'refused' : 'z' })))
    const seen: string[] = []
    while (seen.at(-1) !== 'closed') seen.push(await wire.next())
    expect(['closed', 'puback 1']).toContain(seen[0])
    expect(seen.filter(one => /[2-5]/.test(one))).toEqual([])
    expect(at.rig.stored()).toEqual([1])
    expect(at.refused).toContain('refused')
    other.send(publish(6))
    expect(await other.next()).toBe('puback 6')
    using again = await openDevice(at.port, 'c')
    again.send(publish(7))
    expect(await again.next()).toBe('puback 7')
    expect(at.rig.stored()).toEqual([1, 6, 7])
  })

  it('is a QoS 2 one when too many wait for their PUBREL', async () => {
    let unreleased = 4
    await using at = await startTestBroker({ qos2EntriesMax: 5, unreleased: () => unreleased })
    using wire = await openDevice(at.port, 'c')
    wire.send(publish(1, { qos: 2 }))
    expect(await wire.next()).toBe('pubrec 1')
    unreleased = 5
    wire.send(publish(2, { qos: 1 }))
    expect(await wire.next()).toBe('puback 2')
    wire.send(publish(3, { qos: 2 }))
    expect(await wire.next()).toBe('closed')
    expect(at.refused).toEqual(['too many QoS 2 messages wait for their PUBREL'])
  })
})

describe('a will', () => {
  const will = { topic: topicOf(), payload: payloadOf(9), qos: 1 }

  it('is handed over when the connection breaks, and not when it is ended', async () => {
    await using at = await startTestBroker()
    using ended = await openDevice(at.port, 'a', { will })
    ended.send(disconnectPacket)
    await ended.closed
    expect(at.rig.stored()).toEqual([])
    using broken = await openDevice(at.port, 'b', { will: { ...will, qos: 2 } })
    broken.socket.resetAndDestroy()
    await vi.waitFor(() => expect(at.rig.stored()).toEqual([9]), PATIENCE)
    expect(at.rig.handedOver.filter(({ kind }) => kind === 'message')).toMatchObject([
      { topic: will.topic, qos2Key: null },
    ])
  })

  it('of a connection whose message was refused is refused, too', async () => {
    await using at = await startTestBroker()
    using wire = await openDevice(at.port, 'b', { will })
    at.rig.refuse()
    wire.send(publish(1, { zone: 'refused' }))
    expect(await wire.next()).toBe('closed')
    await vi.waitFor(() => expect(at.refused).toHaveLength(2), PATIENCE)
    expect(at.rig.stored()).toEqual([])
  })
})

describe('the broker', () => {
  it('takes connectionsMax connections and closes what is more', async () => {
    await using at = await startTestBroker({ connectionsMax: 2, connectTimeoutMs: 600_000 })
    using one = await openDevice(at.port, 'a')
    using two = await openDevice(at.port, 'b')
    using more = await openWire(at.port)
    expect(await more.next()).toBe('closed')
    expect(at.broker.connections).toBe(2)
    two.socket.destroy()
    await vi.waitFor(() => expect(at.broker.connections).toBe(1), PATIENCE)
    using late = await openDevice(at.port, 'c')
    for (const wire of [one, late]) {
      wire.send(publish(1))
      expect(await wire.next()).toBe('puback 1')
    }
  })

  it('gives a client id to the newest connection that has it', async () => {
    await using at = await startTestBroker()
    using old = await openDevice(at.port, 'same')
    using young = await openDevice(at.port, 'same')
    expect(await old.next()).toBe('closed')
    young.send(publish(1))
    expect(await young.next()).toBe('puback 1')
  })

  it('says when it cannot listen', async () => {
    await using at = await startTestBroker()
    const second = startTestBroker({ port: at.port })
    await expect(second).rejects.toThrow(CannotStart)
    await expect(second).rejects.toThrow(`gateway.mqtt = 127.0.0.1:${at.port}`)
  })
})

it.each(['$SYS/x', '$share/g/t', '$'])(
  'a message on the topic %s is kept and passed to nobody',
  async topic => {
    await using at = await startTestBroker()
    using subscriber = await openDevice(at.port, 's')
    subscriber.send(subscribePacket('#'), subscribePacket(topic))
    await subscriber.next()
    await subscriber.next()
    using wire = await openDevice(at.port, 'c')
    wire.send(publishPacket({ topic, payload: '{}' }), publish(2))
    expect(await wire.next()).toMatch(/^puback/)
    expect(await wire.next()).toBe('puback 2')
    const topics = at.rig.handedOver.flatMap(one => (one.kind === 'message' ? [one.topic] : []))
    expect(topics[0]).toBe(topic)
    // Only the second, for which it also subscribed, comes through.
    expect(await subscriber.next()).toMatch(/^publish/)
    subscriber.send(pingPacket)
    expect(await subscriber.next()).toBe('pingresp')
  },
)
