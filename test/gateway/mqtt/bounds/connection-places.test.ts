import { describe, expect, it } from 'vitest'
import { hostOf } from '../../../../gateway/mqtt/bounds/connection-places.ts'
import { startGatewayProcess } from '../../../setup/gateway-process.ts'
import { payloadOf, startTestBroker, topicOf } from '../broker-fixture.ts'
import { connectPacket, openDevice, openWire, publishPacket } from '../wire.ts'

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

// Only Linux gives every address below 127 to the loopback interface.
describe.skipIf(process.platform !== 'linux')(
  'a host that holds connectionsMax connections',
  () => {
    it('loses its newest connection to a device of another host, in the real gateway', async () => {
      await using gateway = await startGatewayProcess({ mqtt: { connectionsMax: 3 } })
      const greedy = []
      for (let n = 0; n < 3; n++) greedy.push(await openDevice(gateway.port, `greedy ${n}`))
      using device = await openWire(gateway.port, '127.0.0.2')
      device.send(Buffer.concat([connectPacket('device'), message]))
      expect([await device.next(), await device.next()]).toEqual(['connack', 'puback 7'])
      expect(await greedy.pop()!.next()).toBe('closed')
      // The greedy host has two connections and the other host has one, so neither gets a further
      // connection.
      for (const address of ['127.0.0.1', '127.0.0.2']) {
        using refused = await openWire(gateway.port, address)
        expect(await refused.next()).toBe('closed')
      }
      for (const wire of [...greedy, device]) {
        wire.send(message)
        expect(await wire.next()).toBe('puback 7')
      }
      for (const wire of greedy) wire[Symbol.dispose]()
    })
  },
)

describe('the host of a connection', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    [undefined, 'an unknown address'],
  ])('%s is %s', (remoteAddress, host) => {
    expect(hostOf({ remoteAddress })).toBe(host)
  })
})
