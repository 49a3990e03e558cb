import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { payloadOf, startTestBroker, topicOf } from './broker-fixture.ts'
import { openDevice, pingPacket, publishPacket, type Wire } from './wire.ts'

const PATIENCE = { timeout: 20_000, interval: 5 }
const A_WHILE_MS = 50
/** Longer than any test: no pause ends by time. */
const FOREVER_MS = 60_000

/** A message of about a kilobyte. */
const kilobyte = (n: number) => {
  const payload = JSON.stringify({ n, fill: 'x'.repeat(1000) })
  return publishPacket({ topic: topicOf(), payload, id: n })
}
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at)
const replies = async (wire: Wire, count: number) => {
  const all: string[] = []
  while (all.length < count) all.push(await wire.next())
  return all
}

describe('above inFlightMaxBytes', () => {
  it('nothing is read, nothing is lost, and everything goes on when the writer is back', async () => {
    await using at = await startTestBroker({ inFlightMaxBytes: 4096, pauseMaxMs: FOREVER_MS })
    using one = await openDevice(at.port, 'a')
    using two = await openDevice(at.port, 'b')
    const letGo = at.rig.hold()
    const count = 200
    one.send(...range(1, count).map(kilobyte))
    await vi.waitFor(() => expect(at.broker.isPaused).toBe(true), PATIENCE)
    two.send(...range(1, count).map(kilobyte))
    await sleep(A_WHILE_MS)
    const handedOver = at.rig.handedOver.length
    // One read of a socket is 64 KiB at most, and what it holds is handed over.
    expect(handedOver).toBeLessThan(70)
    await sleep(A_WHILE_MS)
    expect(at.rig.handedOver).toHaveLength(handedOver)
    letGo()
    for (const wire of [one, two]) {
      expect(await replies(wire, count)).toEqual(range(1, count).map(n => `puback ${n}`))
    }
    expect(at.broker.isPaused).toBe(false)
  })

  it('a connection lives on though its PINGREQ cannot be read for longer than its keepalive', async () => {
    await using at = await startTestBroker({ inFlightMaxBytes: 4096, pauseMaxMs: FOREVER_MS })
    using busy = await openDevice(at.port, 'a')
    using quiet = await openDevice(at.port, 'b', { keepaliveS: 1 })
    const letGo = at.rig.hold()
    busy.send(...range(1, 50).map(kilobyte))
    await vi.waitFor(() => expect(at.broker.isPaused).toBe(true), PATIENCE)
    quiet.send(pingPacket)
    // aedes gives a connection one and a half keepalives.
    await sleep(2500)
    expect(quiet.waiting).toBe(0)
    letGo()
    expect(await quiet.next()).toBe('pingresp')
    quiet.send(publishPacket({ topic: topicOf(), payload: payloadOf(1), id: 7 }))
    expect(await quiet.next()).toBe('puback 7')
  })

  it('connections with most in flight are closed, unacknowledged, after pauseMaxMs', async () => {
    await using at = await startTestBroker({ inFlightMaxBytes: 8192, pauseMaxMs: 300 })
    using small = await openDevice(at.port, 'small')
    using large = await openDevice(at.port, 'large')
    const letGo = at.rig.hold()
    small.send(kilobyte(1))
    await vi.waitFor(() => expect(at.rig.handedOver).toHaveLength(3), PATIENCE)
    large.send(...range(1, 12).map(kilobyte))
    expect(await large.next()).toBe('closed')
    expect(at.refused).toEqual([
      'the writer is too slow: closed the connection with the most bytes in flight',
    ])
    letGo()
    expect(await small.next()).toBe('puback 1')
    small.send(kilobyte(2))
    expect(await small.next()).toBe('puback 2')
  })

  it('one message that is larger than the bound is taken, too', async () => {
    await using at = await startTestBroker({ inFlightMaxBytes: 4096, pauseMaxMs: FOREVER_MS })
    using wire = await openDevice(at.port, 'a')
    const payload = `"${'x'.repeat(100_000)}"`
    for (const id of [1, 2]) {
      wire.send(publishPacket({ topic: topicOf(), payload, id }))
      expect(await wire.next()).toBe(`puback ${id}`)
    }
  })

  it('a connection that is closed in a pause leaves no trace', async () => {
    await using at = await startTestBroker({ inFlightMaxBytes: 4096, pauseMaxMs: FOREVER_MS })
    using one = await openDevice(at.port, 'a')
    using two = await openDevice(at.port, 'b')
    const letGo = at.rig.hold()
    one.send(...range(1, 50).map(kilobyte))
    await vi.waitFor(() => expect(at.broker.isPaused).toBe(true), PATIENCE)
    one.socket.resetAndDestroy()
    await vi.waitFor(() => expect(at.broker.connections).toBe(1), PATIENCE)
    letGo()
    two.send(kilobyte(1))
    expect(await two.next()).toBe('puback 1')
    expect(at.broker.isPaused).toBe(false)
  })
})
