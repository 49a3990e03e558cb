import { describe, expect, it } from 'vitest'
import { startGatewayProcess, waitOptions } from './gateway-process.ts'
import { header, openDevice, publishPacket } from './mqtt/wire.ts'
import { readOutbox } from './store/fixture.ts'

const session = { clean: false }
const publish = (payload: string, id: number) =>
  publishPacket({ topic: 'building/hq/zone/z/sensor/s', payload, qos: 2, id })

describe('/health of the gateway', () => {
  it('names a client that repeats a fault', async () => {
    using gateway = await startGatewayProcess()
    for (let round = 0; round < 3; round++) {
      using wire = await openDevice(gateway.mqtt, 'cam')
      wire.send(header('publish', 2, 300_000))
      expect(await wire.next()).toBe('closed')
    }
    const { body } = await gateway.page('/health')
    const fault = '"cam": a publish packet declares 300000 bytes, more than 262144 (3 times)'
    expect(body?.alarms).toEqual([expect.stringContaining(fault)])
    expect(gateway.log()).toContain('a fault of a client ended its connection')
  }, 60_000)

  it('names a bound that was reached; connected clients keep their QoS 2 messages', async () => {
    using gateway = await startGatewayProcess({ mqtt: { qos2EntriesMax: 2 } })
    using here = await openDevice(gateway.mqtt, 'here', session)
    here.send(publish('{"n":1}', 1))
    expect(await here.next()).toBe('pubrec 1')
    for (const [client, n] of [
      ['gone', 2],
      ['other', 3],
    ] as const) {
      using wire = await openDevice(gateway.mqtt, client, session)
      wire.send(publish(`{"n":${n}}`, 1))
      expect(await wire.next()).toBe('pubrec 1')
    }
    const alarms = async () => (await gateway.page('/health')).body?.alarms
    const bound = expect.stringContaining('gateway.mqtt.qos2EntriesMax = 2 is reached')
    await expect.poll(alarms, waitOptions).toEqual([bound])
    // A device that got no PUBREC sends its message again.
    here.send(publish('{"n":1}', 1))
    expect(await here.next()).toBe('pubrec 1')
    expect(readOutbox(gateway.outboxFile).events).toHaveLength(3)
  }, 60_000)
})
