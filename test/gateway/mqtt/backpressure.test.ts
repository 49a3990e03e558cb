import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { payloadOf, startTestBroker, topicOf } from './broker-fixture.ts'
import {
  connectPacket,
  openDevice,
  openWire,
  pingPacket,
  publishPacket,
  pubrelPacket,
  type Wire,
} from './wire.ts'

const PATIENCE = { timeout: 20_000, interval: 5 }
const A_WHILE_MS = 50
/** Longer than any test, so that no pause ends because pauseMaxMs has passed. */
const FOREVER_MS = 60_000

/** A message of about a kilobyte. */
const kilobyte = (n: number) => {
  const payload = JSON.stringify({ n, fill: 'x'.repeat(1000) })
  return publishPacket({ topic: topicOf(), payload, id: n })
}
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)
const replies = async (wire: Wire, count: number) => {
  const all: string[] = []
  while (all.length < count) all.push(await wire.next())
  return all
}

describe('above inFlightMaxBytes', () => {
  it('reading stops, no message is lost, and reading continues when the writer has caught up', async () => {
    await using setup = await startTestBroker({ inFlightMaxBytes: 4096, pauseMaxMs: FOREVER_MS })
    using first = await openDevice(setup.port, 'a')
    using second = await openDevice(setup.port, 'b')
    const resume = setup.rig.hold()
    const count = 200
    first.send(...range(1, count).map(kilobyte))
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(true), PATIENCE)
    second.send(...range(1, count).map(kilobyte))
    await sleep(A_WHILE_MS)
    const handedOver = setup.rig.handedOver.length
    // One read of a socket returns at most 64 KiB. All messages in these bytes are handed over,
    // although the bound is exceeded earlier.
    expect(handedOver).toBeLessThan(70)
    await sleep(A_WHILE_MS)
    expect(setup.rig.handedOver).toHaveLength(handedOver)
    resume()
    for (const wire of [first, second]) {
      expect(await replies(wire, count)).toEqual(range(1, count).map(n => `puback ${n}`))
    }
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(false), PATIENCE)
  })

  it('a connection stays open although its PINGREQ is unread for longer than its keepalive', async () => {
    await using setup = await startTestBroker({ inFlightMaxBytes: 4096, pauseMaxMs: FOREVER_MS })
    using busy = await openDevice(setup.port, 'a')
    using quiet = await openDevice(setup.port, 'b', { keepaliveS: 1 })
    const resume = setup.rig.hold()
    busy.send(...range(1, 50).map(kilobyte))
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(true), PATIENCE)
    quiet.send(pingPacket)
    // aedes would close a silent connection after one and a half times its keepalive.
    await sleep(2500)
    expect(quiet.waiting).toBe(0)
    resume()
    expect(await quiet.next()).toBe('pingresp')
    quiet.send(publishPacket({ topic: topicOf(), payload: payloadOf(1), id: 7 }))
    expect(await quiet.next()).toBe('puback 7')
  })

  it('the connections with the most bytes in flight are closed after pauseMaxMs, unacknowledged', async () => {
    await using setup = await startTestBroker({ inFlightMaxBytes: 8192, pauseMaxMs: 300 })
    using small = await openDevice(setup.port, 'small')
    using large = await openDevice(setup.port, 'large')
    const resume = setup.rig.hold()
    small.send(kilobyte(1))
    await vi.waitFor(() => expect(setup.rig.handedOver).toHaveLength(3), PATIENCE)
    large.send(...range(1, 12).map(kilobyte))
    expect(await large.next()).toBe('closed')
    expect(setup.refused).toEqual([
      'packets wait too long: closed the connection with the most bytes in flight',
    ])
    resume()
    expect(await small.next()).toBe('puback 1')
    small.send(kilobyte(2))
    expect(await small.next()).toBe('puback 2')
  })

  it('clients that reconnect again and again do not exceed the bound while the writer stands still', async () => {
    await using setup = await startTestBroker({ inFlightMaxBytes: 8192, pauseMaxMs: 20 })
    const resume = setup.rig.hold()
    const session = { clean: false }
    using first = await openDevice(setup.port, 'first', session)
    first.send(...range(1, 12).map(kilobyte))
    expect(await first.next()).toBe('closed')
    const messages = setup.rig.handedOver.length
    using again = await openWire(setup.port)
    again.send(connectPacket('again', session), ...range(1, 12).map(kilobyte))
    await sleep(A_WHILE_MS)
    expect(setup.broker.isPaused).toBe(true)
    expect(setup.rig.handedOver).toHaveLength(messages)
    resume()
    expect(await again.next()).toBe('connack')
    expect(await replies(again, 12)).toEqual(range(1, 12).map(n => `puback ${n}`))
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(false), PATIENCE)
  })

  it('PUBRELs stop the reads, too: each needs more memory than its four bytes', async () => {
    await using setup = await startTestBroker({ inFlightMaxBytes: 8192, pauseMaxMs: FOREVER_MS })
    using first = await openDevice(setup.port, 'a')
    using second = await openDevice(setup.port, 'b')
    const resume = setup.rig.hold()
    const count = 1000
    first.send(...range(1, count).map(pubrelPacket))
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(true), PATIENCE)
    const handedOver = setup.rig.handedOver.length
    second.send(...range(1, count).map(pubrelPacket))
    await sleep(A_WHILE_MS)
    expect(setup.rig.handedOver).toHaveLength(handedOver)
    resume()
    for (const wire of [first, second]) {
      expect(await replies(wire, count)).toEqual(range(1, count).map(n => `pubcomp ${n}`))
    }
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(false), PATIENCE)
  })

  it('the end of a pause does not read all connections at once', async () => {
    await using setup = await startTestBroker({ inFlightMaxBytes: 8192, pauseMaxMs: FOREVER_MS })
    using busy = await openDevice(setup.port, 'busy')
    using second = await openDevice(setup.port, 'b')
    using third = await openDevice(setup.port, 'c')
    const resume = setup.rig.hold()
    busy.send(...range(1, 20).map(kilobyte))
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(true), PATIENCE)
    const count = 1000
    for (const wire of [second, third]) wire.send(...range(1, count).map(pubrelPacket))
    await sleep(A_WHILE_MS)
    const handedOver = setup.rig.handedOver.length
    resume()
    const resumeAgain = setup.rig.hold()
    expect(await replies(busy, 20)).toHaveLength(20)
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(true), PATIENCE)
    await sleep(A_WHILE_MS)
    expect(setup.rig.handedOver.length).toBeLessThanOrEqual(handedOver + count)
    resumeAgain()
    for (const wire of [second, third]) {
      expect(await replies(wire, count)).toEqual(range(1, count).map(n => `pubcomp ${n}`))
    }
  })

  it('a single message larger than the bound is accepted', async () => {
    await using setup = await startTestBroker({ inFlightMaxBytes: 4096, pauseMaxMs: FOREVER_MS })
    using wire = await openDevice(setup.port, 'a')
    const payload = `"${'x'.repeat(100_000)}"`
    for (const id of [1, 2]) {
      wire.send(publishPacket({ topic: topicOf(), payload, id }))
      expect(await wire.next()).toBe(`puback ${id}`)
    }
  })

  it('a connection that is closed during a pause does not prolong the pause', async () => {
    await using setup = await startTestBroker({ inFlightMaxBytes: 4096, pauseMaxMs: FOREVER_MS })
    using first = await openDevice(setup.port, 'a')
    using second = await openDevice(setup.port, 'b')
    const resume = setup.rig.hold()
    first.send(...range(1, 50).map(kilobyte))
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(true), PATIENCE)
    first.socket.resetAndDestroy()
    await vi.waitFor(() => expect(setup.broker.connections).toBe(1), PATIENCE)
    resume()
    second.send(kilobyte(1))
    expect(await second.next()).toBe('puback 1')
    await vi.waitFor(() => expect(setup.broker.isPaused).toBe(false), PATIENCE)
  })
})

describe('bytes in flight', () => {
  it('are those of each message until its fate, and of each packet until its answer', async () => {
    await using setup = await startTestBroker()
    using wire = await openDevice(setup.port, 'a')
    const resume = setup.rig.hold()
    wire.send(...range(1, 10).map(kilobyte))
    await vi.waitFor(() => expect(setup.broker.pressureBytes).toBeGreaterThan(10 * 2000), PATIENCE)
    resume()
    expect(await replies(wire, 10)).toHaveLength(10)
    await vi.waitFor(() => expect(setup.broker.pressureBytes).toBe(0), PATIENCE)
  })
})
