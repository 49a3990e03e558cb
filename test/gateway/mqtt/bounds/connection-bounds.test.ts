import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { observePackets } from '../../../../gateway/mqtt/aedes-internals.ts'
import { payloadOf, startTestBroker, topicOf } from '../broker-fixture.ts'
import {
  connectPacket,
  openDevice,
  openWire,
  packet,
  pingPacket,
  publishPacket,
  subscribePacket,
} from '../wire.ts'

/** The parser of MQTT packets that aedes uses. */
const createParser = () => createRequire(import.meta.url)('mqtt-packet').parser()

const PATIENCE = { timeout: 20_000, interval: 5 }
const A_WHILE_MS = 100
const KIBIBYTE = 1024

/** A message with a payload of `bytes` bytes. */
const large = (id: number, bytes: number) =>
  publishPacket({ topic: topicOf(), payload: `"${'x'.repeat(bytes)}"`, id })
const small = (id: number) => publishPacket({ topic: topicOf(), payload: payloadOf(id), id })

describe('an unfinished packet', () => {
  it('counts with its declared length from its fixed header on', async () => {
    await using setup = await startTestBroker({ inFlightMaxBytes: 4096 * KIBIBYTE })
    using wire = await openDevice(setup.port, 'c')
    const bytes = large(1, 200 * KIBIBYTE)
    wire.send(bytes.subarray(0, 5))
    await vi.waitFor(() => expect(setup.broker.pressureBytes).toBe(bytes.length - 4), PATIENCE)
    wire.send(bytes.subarray(5))
    expect(await wire.next()).toBe('puback 1')
    await vi.waitFor(() => expect(setup.broker.pressureBytes).toBe(0), PATIENCE)
  })

  it('is given up after packetTimeoutMs, and its bytes are free', async () => {
    await using setup = await startTestBroker({ packetTimeoutMs: 200 })
    using stuck = await openDevice(setup.port, 'stuck')
    using other = await openDevice(setup.port, 'other')
    const bytes = large(1, 100 * KIBIBYTE)
    stuck.send(bytes.subarray(0, bytes.length - 1))
    expect(await stuck.next()).toBe('closed')
    await vi.waitFor(() => expect(setup.broker.pressureBytes).toBe(0), PATIENCE)
    other.send(small(2))
    expect(await other.next()).toBe('puback 2')
  })

  it('of many connections uses a quarter of inFlightMaxBytes at most', async () => {
    const quarter = 256 * KIBIBYTE
    await using setup = await startTestBroker({ inFlightMaxBytes: 4 * quarter, pauseMaxMs: 60_000 })
    const bytes = large(1, 60 * KIBIBYTE)
    const wires = await Promise.all(
      Array.from({ length: 40 }, (_, n) => openDevice(setup.port, `c${n}`)),
    )
    for (const wire of wires) wire.send(bytes.subarray(0, bytes.length - 1))
    await vi.waitFor(() => expect(setup.broker.pressureBytes).toBeGreaterThan(quarter / 2))
    await sleep(A_WHILE_MS)
    expect(setup.broker.pressureBytes).toBeLessThanOrEqual(quarter)
    expect(setup.broker.isPaused).toBe(false)
    using honest = await openDevice(setup.port, 'honest')
    honest.send(small(7))
    expect(await honest.next()).toBe('puback 7')
    for (const wire of wires) wire.send(bytes.subarray(bytes.length - 1))
    for (const wire of wires) expect(await wire.next()).toBe('puback 1')
    for (const wire of wires) wire.socket.destroy()
  })

  it('that stays unfinished is closed when another packet waits for its memory', async () => {
    await using setup = await startTestBroker({
      inFlightMaxBytes: 1024 * KIBIBYTE,
      pauseMaxMs: 400,
    })
    const bytes = large(1, 100 * KIBIBYTE)
    const stuck = await Promise.all(
      Array.from({ length: 10 }, (_, n) => openDevice(setup.port, `stuck-${n}`)),
    )
    for (const wire of stuck) wire.send(bytes.subarray(0, bytes.length - 1))
    using honest = await openDevice(setup.port, 'honest')
    honest.send(large(1, 150 * KIBIBYTE))
    expect(await honest.next()).toBe('puback 1')
    for (const wire of stuck) wire.socket.destroy()
  })

  it('that waits for memory misses neither its deadline nor its keepalive', async () => {
    await using setup = await startTestBroker({
      ...{ inFlightMaxBytes: 1024 * KIBIBYTE, pauseMaxMs: 60_000, packetTimeoutMs: 3000 },
    })
    using stuck = await openDevice(setup.port, 'stuck')
    using honest = await openDevice(setup.port, 'honest', { keepaliveS: 1 })
    const bytes = large(1, 200 * KIBIBYTE)
    stuck.send(bytes.subarray(0, bytes.length - 1))
    await vi.waitFor(() => expect(setup.broker.pressureBytes).toBe(bytes.length - 4), PATIENCE)
    honest.send(bytes)
    // The packet waits until the other packet has missed its deadline.
    expect(await stuck.next()).toBe('closed')
    expect(await honest.next()).toBe('puback 1')
    expect(setup.logged).toHaveLength(1)
  })

  it('in very many parts is joined, so that parts do not multiply its memory', async () => {
    const parser = createParser()
    let packets = 0
    parser.on('packet', () => packets++)
    observePackets({ _parser: parser }, { onHeader() {}, onPacket() {}, onParsed() {} })
    let partsMax = 0
    for (const byte of large(3, 2000)) {
      parser.parse(Buffer.of(byte))
      partsMax = Math.max(partsMax, parser._list._bufs.length)
    }
    expect(packets).toBe(1)
    expect(partsMax).toBeLessThanOrEqual(257)
  })
})

describe('a silent connection', () => {
  it('without keepalive is closed after idleMaxMs; each packet counts as a sign of life', async () => {
    await using setup = await startTestBroker({ idleMaxMs: 400 })
    using silent = await openDevice(setup.port, 'silent')
    using active = await openDevice(setup.port, 'active')
    using kept = await openDevice(setup.port, 'kept', { keepaliveS: 60 })
    let isClosed = false
    silent.closed.then(() => {
      isClosed = true
    })
    while (!isClosed) {
      active.send(pingPacket)
      expect(await active.next()).toBe('pingresp')
      await sleep(20)
    }
    kept.send(pingPacket)
    expect(await kept.next()).toBe('pingresp')
  })
})

describe('a client that repeats a fault', () => {
  const oversize = packet('publish', 2, Buffer.alloc(2000))

  it('is named in the log and in the alarms, with size and limit', async () => {
    await using setup = await startTestBroker({ packetMaxBytes: 1000 })
    for (let round = 0; round < 5; round++) {
      using wire = await openDevice(setup.port, 'cam')
      wire.send(oversize)
      expect(await wire.next()).toBe('closed')
    }
    expect(setup.logged).toEqual([
      '{"client":"cam","reason":"a publish packet declares 2000 bytes, more than 1000","times":1}',
    ])
    expect(setup.faults.alarms()).toEqual([
      expect.stringContaining(
        '"cam": a publish packet declares 2000 bytes, more than 1000 (5 times)',
      ),
    ])
  })

  it('waits at CONNECT, unread, while other clients do not; only its newest CONNECT waits', async () => {
    await using setup = await startTestBroker({ packetMaxBytes: 1000, faultDelayMaxMs: 60_000 })
    for (let round = 0; round < 3; round++) {
      using wire = await openDevice(setup.port, 'cam')
      wire.send(oversize)
      expect(await wire.next()).toBe('closed')
    }
    const [first, second] = [await openWire(setup.port), await openWire(setup.port)]
    first.send(connectPacket('cam'))
    await sleep(A_WHILE_MS)
    expect(first.waiting).toBe(0)
    second.send(connectPacket('cam'), small(4))
    expect(await first.next()).toBe('closed')
    using other = await openDevice(setup.port, 'other')
    other.send(small(1))
    expect(await other.next()).toBe('puback 1')
    expect(second.waiting).toBe(0)
    expect(await second.next()).toBe('connack')
    expect(await second.next()).toBe('puback 4')
    second.socket.destroy()
  })

  it('may be a subscriber that does not read: it is closed after drainTimeoutMs, and named', async () => {
    await using setup = await startTestBroker({ drainTimeoutMs: 200 })
    using stuck = await openDevice(setup.port, 'stuck')
    stuck.send(subscribePacket('building/#', 1))
    expect(await stuck.next()).toBe('suback')
    stuck.socket.pause()
    using device = await openDevice(setup.port, 'device')
    for (let id = 1; setup.logged.length === 0 && id < 5000; id++) {
      device.send(large(id, 50 * KIBIBYTE))
      expect(await device.next()).toBe(`puback ${id}`)
    }
    expect(setup.logged).toEqual(['{"client":"stuck","reason":"drain timeout","times":1}'])
    device.send(small(1))
    expect(await device.next()).toBe('puback 1')
  })

  it('is not a client whose messages are refused, or that is only disconnected', async () => {
    await using setup = await startTestBroker()
    setup.rig.refuse()
    for (let round = 0; round < 5; round++) {
      using wire = await openDevice(setup.port, 'refused')
      wire.send(publishPacket({ topic: topicOf('refused'), payload: payloadOf(1), id: 1 }))
      expect(await wire.next()).toBe('closed')
      const reset = await openDevice(setup.port, 'reset')
      reset.socket.resetAndDestroy()
    }
    expect([setup.faults.alarms(), setup.logged]).toEqual([[], []])
  })
})
