import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { defaults } from '../../../../config/config.ts'
import { createMemorySessions, type Sessions } from '../../../../gateway/mqtt/aedes-internals.ts'
import { createConnectionFaults } from '../../../../gateway/mqtt/bounds/connection-faults.ts'
import { reportErrors } from '../../../../gateway/mqtt/broker-errors.ts'
import { createQos2Sessions } from '../../../../gateway/mqtt/qos2-sessions.ts'
import { startAedes } from '../aedes-fixture.ts'
import { payloadOf, startTestBroker, topicOf } from '../broker-fixture.ts'
import { openDevice, publishPacket } from '../wire.ts'

const PATIENCE = { timeout: 20_000, interval: 5 }
const will = { topic: topicOf(), payload: payloadOf(99), qos: 1 }

/** The wills that aedes publishes while its device is connected and the wall clock jumps. */
async function publishedAfterClockSteps(sessions: Sessions): Promise<string[]> {
  const published: string[] = []
  await using setup = await startAedes({
    options: {
      ...{ persistence: sessions as object, heartbeatInterval: 20 },
      authorizePublish: (_, { topic }, done) => {
        published.push(topic)
        done(null)
      },
    },
  })
  using _device = await openDevice(setup.port, 'c', { will })
  let steps = 0
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => ++steps * 3_600_000)
  await sleep(300)
  clock.mockRestore()
  // The end of this broker publishes wills, too.
  return [...published]
}

describe('a will', () => {
  it('of a connected device is not published when the clock jumps', async () => {
    // aedes alone publishes the will: the test would notice if aedes no longer did.
    const { length } = await publishedAfterClockSteps(createMemorySessions())
    expect(length).toBeGreaterThan(0)
    const unreleased = { release: async () => {}, forget: async () => {} }
    expect(
      await publishedAfterClockSteps(createQos2Sessions(unreleased, defaults.gateway.mqtt)),
    ).toEqual([])
  })

  it('is stored when a connection fails, and not when the gateway stops in order', async () => {
    const setup = await startTestBroker()
    const failing = await openDevice(setup.port, 'failing', { will })
    using staying = await openDevice(setup.port, 'staying', { will })
    failing.socket.resetAndDestroy()
    await vi.waitFor(() => expect(setup.rig.stored()).toEqual([99]), PATIENCE)
    staying.send(publishPacket({ topic: topicOf(), payload: payloadOf(1), id: 1 }))
    expect(await staying.next()).toBe('puback 1')
    await setup[Symbol.asyncDispose]()
    expect(await staying.next()).toBe('closed')
    expect(setup.rig.stored()).toEqual([99, 1])
  })

  it('that cannot be stored ends nothing', async () => {
    await using setup = await startTestBroker()
    const resume = setup.rig.refuse()
    const refused = { ...will, topic: topicOf('refused') }
    const failing = await openDevice(setup.port, 'failing', { will: refused })
    failing.socket.resetAndDestroy()
    await vi.waitFor(() => expect(setup.refused).toEqual(['refused']), PATIENCE)
    resume()
    using device = await openDevice(setup.port, 'c')
    device.send(publishPacket({ topic: topicOf(), payload: payloadOf(1), id: 1 }))
    expect(await device.next()).toBe('puback 1')
  })
})

describe('an error that aedes reports', () => {
  it('is logged and ends nothing', async () => {
    await using setup = await startAedes({})
    const fault = new Error('a fault of the persistence')
    const emit = () => setup.aedes.emit('error', fault)
    expect(emit).toThrow(fault)
    const errors: Error[] = []
    reportErrors(setup.aedes, {
      ...{ faults: createConnectionFaults(0, () => {}), onConnectionBroken() {} },
      onError: error => errors.push(error),
    })
    expect(emit).not.toThrow()
    expect(errors).toEqual([fault])
  })
})
