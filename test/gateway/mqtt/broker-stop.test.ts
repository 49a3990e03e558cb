import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { payloadOf, startTestBroker, topicOf } from './broker-fixture.ts'
import { connectPacket, openDevice, openWire, publishPacket } from './wire.ts'

const PATIENCE = { timeout: 20_000, interval: 5 }
const A_WHILE_MS = 50

const publish = (n: number) => publishPacket({ topic: topicOf(), payload: payloadOf(n), id: n })

describe('a broker that is stopped', () => {
  it('acknowledges what was read, reads nothing more and closes every connection', async () => {
    const at = await startTestBroker()
    using wire = await openDevice(at.port, 'c')
    using idle = await openDevice(at.port, 'd')
    const letGo = at.rig.hold()
    wire.send(publish(1), publish(2))
    await vi.waitFor(() => expect(at.rig.handedOver).toHaveLength(4), PATIENCE)
    let isStopped = false
    const stopped = at[Symbol.asyncDispose]().then(() => {
      isStopped = true
    })
    wire.send(publish(3))
    await sleep(A_WHILE_MS)
    expect(isStopped).toBe(false)
    letGo()
    expect([await wire.next(), await wire.next()]).toEqual(['puback 1', 'puback 2'])
    expect([await wire.next(), await idle.next()]).toEqual(['closed', 'closed'])
    await stopped
    expect(at.rig.stored()).toEqual([1, 2])
    await expect(openWire(at.port)).rejects.toThrow()
  })

  it('does not wait for connections that never said who they are', async () => {
    const at = await startTestBroker({ connectTimeoutMs: 600_000 })
    using silent = await openWire(at.port)
    using half = await openWire(at.port)
    half.send(connectPacket('c').subarray(0, 5))
    await sleep(A_WHILE_MS)
    await at[Symbol.asyncDispose]()
    expect([await silent.next(), await half.next()]).toEqual(['closed', 'closed'])
  })

  it('ends though the writer does not come back', async () => {
    const at = await startTestBroker()
    using wire = await openDevice(at.port, 'c')
    at.rig.hold()
    wire.send(publish(1))
    await vi.waitFor(() => expect(at.rig.handedOver).toHaveLength(2), PATIENCE)
    await at[Symbol.asyncDispose]()
    expect(await wire.next()).toBe('closed')
  })

  it('is stopped at once when nobody is connected', async () => {
    const at = await startTestBroker()
    await at[Symbol.asyncDispose]()
    await expect(openWire(at.port)).rejects.toThrow()
  })
})
