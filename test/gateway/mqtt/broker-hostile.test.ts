import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { payloadOf, startStoringBroker, topicOf } from './broker-fixture.ts'
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

/**
 * Checks that the broker still works: a correct device publishes a message, and the broker
 * acknowledges it.
 */
async function serves(port: number): Promise<void> {
  using wire = await openDevice(port, 'good')
  wire.send(publishPacket({ topic: topicOf(), payload: payloadOf(1), id: 9 }))
  expect(await wire.next()).toBe('puback 9')
}

/**
 * Sends at most `bytes` bytes while the connection is open; returns true when the connection was
 * closed.
 */
async function pour(wire: Wire, bytes: number): Promise<boolean> {
  const chunk = Buffer.alloc(64 * 1024, 0x41)
  for (let sent = 0; sent < bytes && !wire.socket.destroyed; sent += chunk.length) {
    if (!wire.socket.write(chunk)) await Promise.race([wire.closed, drained(wire)])
  }
  return wire.socket.destroyed
}
const drained = (wire: Wire) => new Promise(resolve => wire.socket.once('drain', resolve))

describe('a packet that declares too many bytes', () => {
  it('is refused by its fixed header', async () => {
    await using setup = await startStoringBroker({ packetMaxBytes: 1000 })
    for (const length of [1001, 16_384, 2_097_152, FULL]) {
      using wire = await openDevice(setup.port, 'c')
      wire.send(header('publish', 2, length))
      expect(await wire.next()).toBe('closed')
    }
    using wire = await openDevice(setup.port, 'c')
    const topic = topicOf()
    const rest = 1000 - topic.length - 4
    const payload = `"${'x'.repeat(rest - 2)}"`
    wire.send(publishPacket({ topic, payload, id: 3 }))
    expect(await wire.next()).toBe('puback 3')
    wire.send(publishPacket({ topic, payload: `${payload} `, id: 4 }))
    expect(await wire.next()).toBe('closed')
    expect(setup.messageCount()).toBe(1)
  })

  it('is refused above 16 KiB when it is CONNECT', async () => {
    await using setup = await startStoringBroker()
    using wire = await openWire(setup.port)
    wire.send(header('connect', 0, 16 * 1024 + 1))
    expect(await wire.next()).toBe('closed')
    const will = { topic: 'a', payload: 'x'.repeat(16 * 1024 - 18), qos: 0 }
    using device = await openDevice(setup.port, 'c', { will })
    device.send(pingPacket)
    expect(await device.next()).toBe('pingresp')
  })

  it('costs no memory, on 50 connections at once', async () => {
    await using setup = await startStoringBroker()
    await serves(setup.port)
    const before = process.memoryUsage.rss()
    const all = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const wire = n % 2 ? await openWire(setup.port) : await openDevice(setup.port, `c${n}`)
        wire.send(header(n % 2 ? 'connect' : 'publish', n % 2 ? 0 : 2, FULL))
        return (await pour(wire, 8 * MEBIBYTE)) ? 'closed' : 'open'
      }),
    )
    expect(new Set(all)).toEqual(new Set(['closed']))
    // Without the packet guard the broker would store 400 MiB in memory.
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * MEBIBYTE)
    await serves(setup.port)
  })
})

describe('the first packet', () => {
  const others = { publish: 2, subscribe: 2, pingreq: 0, pubrel: 2, disconnect: 0, puback: 0 }

  it.each(Object.entries(others))('that is %s closes the connection', async (type, flags) => {
    await using setup = await startStoringBroker()
    using wire = await openWire(setup.port)
    wire.send(packet(type, flags, Buffer.alloc(4)))
    expect(await wire.next()).toBe('closed')
    expect(setup.messageCount()).toBe(0)
  })

  it('is checked by its fixed header, before its body has arrived', async () => {
    await using setup = await startStoringBroker({ connectTimeoutMs: 600_000 })
    using wire = await openWire(setup.port)
    wire.send(header('publish', 2, 100_000))
    expect(await wire.next()).toBe('closed')
  })

  it('must arrive completely within connectTimeoutMs', async () => {
    await using setup = await startStoringBroker({ connectTimeoutMs: 100 })
    using silent = await openWire(setup.port)
    using slow = await openWire(setup.port)
    slow.send(connectPacket('c').subarray(0, 10))
    expect(await silent.next()).toBe('closed')
    expect(await slow.next()).toBe('closed')
  })

  it('may be followed at once by other packets, which wait for it', async () => {
    await using setup = await startStoringBroker()
    using wire = await openWire(setup.port)
    const messages = [1, 2, 3].map(id =>
      publishPacket({ topic: topicOf(), payload: payloadOf(id), id }),
    )
    wire.send(connectPacket('c'), ...messages, pingPacket)
    const replies = []
    for (let count = 0; count < 5; count++) replies.push(await wire.next())
    expect(replies[0]).toBe('connack')
    expect(replies.filter(reply => reply.startsWith('puback'))).toEqual(
      [1, 2, 3].map(id => `puback ${id}`),
    )
    expect(setup.rig.stored()).toEqual([1, 2, 3])
  })

  it('may not be sent twice', async () => {
    await using setup = await startStoringBroker()
    using wire = await openDevice(setup.port, 'c')
    wire.send(connectPacket('c'))
    expect(await wire.next()).toBe('closed')
  })

  it('may arrive byte by byte', async () => {
    await using setup = await startStoringBroker()
    using wire = await openWire(setup.port)
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
    [
      'a topic that is not UTF-8',
      publishPacket({
        topic: Buffer.from('building/hq/zone/\xff/sensor/d', 'latin1'),
        payload: '1',
      }),
    ],
    ['packet type 0', Buffer.from('0000', 'hex')],
    ['packet type 15', Buffer.from('f000', 'hex')],
    ['a reserved flag', packet('pingreq', 3)],
    ['SUBSCRIBE without topics', packet('subscribe', 2, Buffer.from('0001', 'hex'))],
  ])('with %s close the connection, and no message is handed over', async (_, bytes) => {
    await using setup = await startStoringBroker()
    using wire = await openDevice(setup.port, 'c')
    wire.send(bytes)
    expect(await wire.next()).toBe('closed')
    expect(setup.messageCount()).toBe(0)
    await serves(setup.port)
  })

  it('never end the broker', async () => {
    await using setup = await startStoringBroker({ connectTimeoutMs: 100 })
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
      fc.uint8Array({ maxLength: 60 }).map(reply => Buffer.from(reply)),
    )
    await fc.assert(
      fc.asyncProperty(anything, fc.boolean(), async (bytes, isConnected) => {
        using wire = isConnected ? await openDevice(setup.port, 'v') : await openWire(setup.port)
        wire.send(bytes)
        wire.socket.end()
        await wire.closed
      }),
      { numRuns: 300 },
    )
    await serves(setup.port)
  })
})
