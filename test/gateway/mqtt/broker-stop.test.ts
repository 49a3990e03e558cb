import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { payloadOf, startTestBroker, topicOf } from './broker-fixture.ts'
import { connectPacket, openDevice, openWire, publishPacket } from './wire.ts'

const PATIENCE = { timeout: 20_000, interval: 5 }
const A_WHILE_MS = 50

const publish = (n: number) => publishPacket({ topic: topicOf(), payload: payloadOf(n), id: n })

describe('a broker that is stopped', () => {
  it('acknowledges messages that were read, stops reading and closes every connection', async () => {
    const setup = await startTestBroker()
    using wire = await openDevice(setup.port, 'c')
    using idle = await openDevice(setup.port, 'd')
    const resume = setup.rig.hold()
    wire.send(publish(1), publish(2))
    await vi.waitFor(() => expect(setup.rig.handedOver).toHaveLength(4), PATIENCE)
    let isStopped = false
    const stopped = setup[Symbol.asyncDispose]().then(() => {
      isStopped = true
    })
    wire.send(publish(3))
    await sleep(A_WHILE_MS)
    expect(isStopped).toBe(false)
    resume()
    expect([await wire.next(), await wire.next()]).toEqual(['puback 1', 'puback 2'])
    expect([await wire.next(), await idle.next()]).toEqual(['closed', 'closed'])
    await stopped
    expect(setup.rig.stored()).toEqual([1, 2])
    await expect(openWire(setup.port)).rejects.toThrow()
  })

  it('does not wait for connections without a CONNECT', async () => {
    const setup = await startTestBroker({ connectTimeoutMs: 600_000 })
    using silent = await openWire(setup.port)
    using half = await openWire(setup.port)
    half.send(connectPacket('c').subarray(0, 5))
    await sleep(A_WHILE_MS)
    await setup[Symbol.asyncDispose]()
    expect([await silent.next(), await half.next()]).toEqual(['closed', 'closed'])
  })

  it('ends although the writer never answers', async () => {
    const setup = await startTestBroker()
    using wire = await openDevice(setup.port, 'c')
    setup.rig.hold()
    wire.send(publish(1))
    await vi.waitFor(() => expect(setup.rig.handedOver).toHaveLength(2), PATIENCE)
    await setup[Symbol.asyncDispose]()
    expect(await wire.next()).toBe('closed')
  })

  it('is stopped at once when nobody is connected', async () => {
    const setup = await startTestBroker()
    await setup[Symbol.asyncDispose]()
    await expect(openWire(setup.port)).rejects.toThrow()
  })
})
