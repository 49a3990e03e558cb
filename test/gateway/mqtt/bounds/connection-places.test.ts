import { describe, expect, it } from 'vitest'
import { startGatewayProcess } from '../../../setup/gateway-process.ts'
import { payloadOf, startTestBroker, topicOf } from '../broker-fixture.ts'
import { openDevice, openWire, publishPacket } from '../wire.ts'

const message = publishPacket({ topic: topicOf(), payload: payloadOf(1), id: 7 })

describe('connections without a CONNECT', () => {
  it('do not shut out a device at connectionsMax, in the real gateway', async () => {
    await using gateway = await startGatewayProcess({ mqtt: { connectionsMax: 3 } })
    const silent = []
    for (let n = 0; n < 3; n++) silent.push(await openWire(gateway.port))
    using device = await openDevice(gateway.port, 'device')
    device.send(message)
    expect(await device.next()).toBe('puback 7')
    for (const wire of silent) wire[Symbol.dispose]()
  })

  it('are closed from the oldest on, and the bound is reported', async () => {
    await using setup = await startTestBroker({ connectionsMax: 2, connectTimeoutMs: 600_000 })
    using first = await openDevice(setup.port, 'first')
    using silent = await openWire(setup.port)
    using second = await openDevice(setup.port, 'second')
    expect(await silent.next()).toBe('closed')
    using refused = await openWire(setup.port)
    expect(await refused.next()).toBe('closed')
    for (const wire of [first, second]) {
      wire.send(message)
      expect(await wire.next()).toBe('puback 7')
    }
    expect(setup.boundReports.alarms()).toEqual([
      expect.stringMatching(/^gateway\.mqtt\.connectionsMax = 2 is reached/),
    ])
  })
})
