import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { payloadOf, startTestBroker, topicOf } from './broker-fixture.ts'
import {
  connectPacket,
  header,
  openDevice,
  openWire,
  packet,
  pingPacket,
  publishPacket,
  subscribePacket,
  type Wire,
} from './wire.ts'

const MEBIBYTE = 1024 * 1024
const FULL = 268_435_455

/** Whether the broker still serves: a good device publishes and is acknowledged. */
async function serves(port: number): Promise<void> {
  using wire = await openDevice(port, 'good')
  wire.send(publishPacket({ topic: topicOf(), payload: payloadOf(1), id: 9 }))
  expect(await wire.next()).toBe('puback 9')
}

/** Sends as long as the connection is open, at most so many bytes; false if it was never closed. */
async function pour(wire: Wire, bytes: number): Promise<boolean> {
  const chunk = Buffer.alloc(64 * 1024, 0x41)
  for (let sent = 0; sent < bytes && !wire.socket.destroyed; sent += chunk.length) {
    if (!wire.socket.write(chunk)) await Promise.race([wire.closed, drained(wire)])
  }
  return wire.socket.destroyed
}
const drained = (wire: Wire) => new Promise(resolve => wire.socket.once('drain', resolve))

describe('a packet that declares too much', () => {
  it('is refused from its header', async () => {
    await using at = await startTestBroker({ packetMaxBytes: 1000 })
    for (const length of [1001, 16_384, 2_097_152, FULL]) {
      using wire = await openDevice(at.port, 'c')
      wire.send(header('publish', 2, length))
      expect(await wire.next()).toBe('closed')
    }
    using wire = await openDevice(at.port, 'c')
    const topic = topicOf()
    const rest = 1000 - topic.length - 4
    const payload = `"${'x'.repeat(rest - 2)}"`
    wire.send(publishPacket({ topic, payload, id: 3 }))
    expect(await wire.next()).toBe('puback 3')
    wire.send(publishPacket({ topic, payload: `${payload} `, id: 4 }))
    expect(await wire.next()).toBe('closed')
    expect(at.rig.handedOver.filter(({ kind }) => kind === 'message')).toHaveLength(1)
  })

  it('is refused when it is CONNECT, above 16 KiB', async () => {
    await using at = await startTestBroker()
    using wire = await openWire(at.port)
    wire.send(header('connect', 0, 16 * 1024 + 1))
    expect(await wire.next()).toBe('closed')
    using device = await openDevice(at.port, 'x'.repeat(16 * 1024 - 12))
    device.send(pingPacket)
    expect(await device.next()).toBe('pingresp')
  })

  it('costs no memory, on 50 connections at once', async () => {
    await using at = await startTestBroker()
    await serves(at.port)
    const before = process.memoryUsage.rss()
    const all = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const wire = n % 2 ? await openWire(at.port) : await openDevice(at.port, `c${n}`)
        wire.send(header(n % 2 ? 'connect' : 'publish', n % 2 ? 0 : 2, FULL))
        return (await pour(wire, 8 * MEBIBYTE)) ? 'closed' : 'open'
      }),
    )
    expect(new Set(all)).toEqual(new Set(['closed']))
    // Without the guard these are 400 MiB.
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * MEBIBYTE)
    await serves(at.port)
  })
})

describe('the first packet', () => {
  const others = { publish: 2, subscribe: 2, pingreq: 0, pubrel: 2, disconnect: 0, puback: 0 }

  it.each(Object.entries(others))('that is %s closes the connection', async (type, flags) => {
    await using at = await startTestBroker()
    using wire = await openWire(at.port)
    wire.send(packet(type, flags, Buffer.alloc(4)))
    expect(await wire.next()).toBe('closed')
    expect(at.rig.handedOver).toEqual([])
  })

  it('is judged by its header, before its body is there', async () => {
    await using at = await startTestBroker({ connectTimeoutMs: 600_000 })
    using wire = await openWire(at.port)
    wire.send(header('publish', 2, 100_000))
    expect(await wire.next()).toBe('closed')
  })

  it('has to come within connectTimeoutMs, whole', async () => {
    await using at = await startTestBroker({ connectTimeoutMs: 100 })
    using silent = await openWire(at.port)
    using slow = await openWire(at.port)
    slow.send(connectPacket('c').subarray(0, 10))
    expect(await silent.next()).toBe('closed')
    expect(await slow.next()).toBe('closed')
  })

  it('may be followed at once by others, which wait for it', async () => {
    await using at = await startTestBroker()
    using wire = await openWire(at.port)
    const messages = [1, 2, 3].map(id =>
      publishPacket({ topic: topicOf(), payload: payloadOf(id), id }),
    )
    wire.send(connectPacket('c'), ...messages, pingPacket)
    const replies = []
    for (let count = 0; count < 5; count++) replies.push(await wire.next())
    expect(replies[0]).toBe('connack')
    expect(replies.filter(one => one.startsWith('puback'))).toEqual(
      [1, 2, 3].map(id => `puback ${id}`),
    )
    expect(at.rig.stored()).toEqual([1, 2, 3])
  })

  it('may not come twice', async () => {
    await using at = await startTestBroker()
    using wire = await openDevice(at.port, 'c')
    wire.send(connectPacket('c'))
    expect(await wire.next()).toBe('closed')
  })

  it('may come byte by byte', async () => {
    await using at = await startTestBroker()
    using wire = await openWire(at.port)
    for (const byte of connectPacket('c')) {
      wire.send(Buffer.of(byte))
      await sleep(1)
    }
    expect(await wire.next()).toBe('connack')
  })
})

describe('malformed packets', () => {
  it.each([
    ['QoS 3', packet('publish', 6, Buffer.from('00016100010a', 'hex'))],
    ['an endless length', Buffer.from('30ffffffffff01', 'hex')],
    ['a topic longer than the packet', packet('publish', 2, Buffer.from('ffff61', 'hex'))],
    ['no topic', publishPacket({ topic: '', payload: '{}' })],
    ['a wildcard in the topic', publishPacket({ topic: 'building/+/x', payload: '{}' })],
    ['packet type 0', Buffer.from('0000', 'hex')],
    ['packet type 15', Buffer.from('f000', 'hex')],
    ['a reserved flag', packet('pingreq', 3)],
    ['SUBSCRIBE without topics', packet('subscribe', 2, Buffer.from('0001', 'hex'))],
  ])('with %s close the connection, and hand nothing over', async (_, bytes) => {
    await using at = await startTestBroker()
    using wire = await openDevice(at.port, 'c')
    wire.send(bytes)
    expect(await wire.next()).toBe('closed')
    expect(at.rig.handedOver.filter(({ kind }) => kind === 'message')).toEqual([])
    await serves(at.port)
  })

  it('with a topic that is no UTF-8 are buried, never changed into an event', async () => {
    await using at = await startTestBroker()
    using wire = await openDevice(at.port, 'c')
    const topic = Buffer.concat([
      Buffer.from('building/hq/zone/'),
      Buffer.of(0xff),
      Buffer.from('/sensor/d'),
    ])
    wire.send(publishPacket({ topic, payload: '{"n":1}' }))
    const answer = await wire.next()
    expect(['puback 1', 'closed']).toContain(answer)
    expect(at.rig.stored()).toEqual([])
  })

  it('do not end the broker, whatever they are', async () => {
    await using at = await startTestBroker({ connectTimeoutMs: 100 })
    const good = [
      connectPacket('c', { clean: false }),
      publishPacket({ topic: topicOf(), payload: payloadOf(1), qos: 2 }),
      subscribePacket('building/#', 1),
      packet('pubrel', 2, Buffer.of(0, 1)),
      packet('unsubscribe', 2, Buffer.from('0002000161', 'hex')),
      pingPacket,
    ]
    const flip = fc.record({ at: fc.nat(), bit: fc.nat(7) })
    const damaged = fc
      .tuple(fc.shuffledSubarray(good, { minLength: 1 }), fc.array(flip, { maxLength: 4 }))
      .map(([packets, flips]) => {
        const bytes = Buffer.concat(packets)
        for (const { at: where, bit } of flips) bytes[where % bytes.length]! ^= 1 << bit
        return bytes
      })
    const anything = fc.oneof(
      damaged,
      fc.uint8Array({ maxLength: 60 }).map(one => Buffer.from(one)),
    )
    await fc.assert(
      fc.asyncProperty(anything, fc.boolean(), async (bytes, isConnected) => {
        using wire = isConnected ? await openDevice(at.port, 'v') : await openWire(at.port)
        wire.send(bytes)
        wire.socket.end()
        await wire.closed
      }),
      { numRuns: 300 },
    )
    await serves(at.port)
  })
})
