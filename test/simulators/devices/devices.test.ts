import { describe, expect, it, vi } from 'vitest'
import type { DeviceAddress } from '../../../simulators/devices/devices.ts'
import { startBroker } from './devices-broker.ts'
import {
  acknowledgedBy,
  connect,
  devices,
  expectOrderWithinDevices,
  forever,
  numbersTo,
} from './devices-fixture.ts'

describe('devices on a broker that acknowledges', () => {
  it('publish every message once, with its number, run and topic', async () => {
    await using broker = await startBroker()
    await using connected = await connect(100, broker.port, { runId: 'k3x9' })
    await connected.run(forever())
    expect(await connected.drain(10_000)).toBe(0)

    expect(broker.arrivals.map(({ number }) => number).sort((a, b) => a - b)).toEqual(
      numbersTo(100),
    )
    expect(broker.arrivals.find(({ number }) => number === 4)).toMatchObject({
      topic: 'building/hq/zone/f2-east/sensor/hq-co2-4',
      qos: 1,
      dup: false,
      body: { simulated_run: 'k3x9', simulated_number: 4, co2: 404 },
    })
    expectOrderWithinDevices(broker.arrivals)
    expect(acknowledgedBy(connected)).toEqual(numbersTo(100))
    expect(connected.record.tallyOf(1)).toEqual({ published: 15, acknowledged: 15, resent: 0 })
    expect(connected.record.tallyOf(2)).toEqual({ published: 14, acknowledged: 14, resent: 0 })
    expect(connected.counters()).toMatchObject({
      ...{ scheduled: 100, published: 100, acknowledged: 100, resent: 0 },
      ...{ inFlight: 0, waiting: 0, reconnects: 0, connected: 3 },
    })
  })

  it('publish exactly the messages scheduled within the duration', async () => {
    await using broker = await startBroker()
    await using connected = await connect(1e9, broker.port, { ratePerSecond: 1000 })
    await connected.run(50)
    await connected.run(30)
    expect(await connected.drain(10_000)).toBe(0)
    expect(connected.counters()).toMatchObject({ scheduled: 80, acknowledged: 80 })
    expect(broker.arrivals).toHaveLength(80)
  })

  it('stop at the signal, and continue with the next number', async () => {
    await using broker = await startBroker()
    await using connected = await connect(1000, broker.port, { ratePerSecond: 2000 })
    const stop = new AbortController()
    const first = connected.run(stop.signal)
    await vi.waitFor(() => expect(broker.arrivals.length).toBeGreaterThan(10))
    stop.abort()
    await first
    const { published } = connected.counters()
    await connected.run(5)
    await connected.drain(10_000)
    // Ten messages are scheduled in 5 ms. The first run may have read one more before it was
    // stopped.
    expect([10, 11]).toContain(connected.record.total.published - published)
    expectOrderWithinDevices(broker.arrivals)
  })

  it('count by quality of service: 0 is never acknowledged, 2 is acknowledged at PUBREC', async () => {
    await using broker = await startBroker()
    const qos = (device: DeviceAddress) => (Number(device.name.at(-1)) % 3) as 0 | 1 | 2
    await using connected = await connect(70, broker.port, { qos })
    await connected.run(forever())
    expect(await connected.drain(10_000)).toBe(0)
    await vi.waitFor(() => expect(broker.delivered).toHaveLength(70))
    for (const [at, device] of devices.entries()) {
      const acknowledged = qos(device) === 0 ? 0 : 10
      expect(connected.record.tallyOf(at)).toEqual({ published: 10, acknowledged, resent: 0 })
    }
  })

  it('count a QoS 2 message as acknowledged from PUBREC on, and in flight until PUBCOMP', async () => {
    await using broker = await startBroker({ withholdPubcomp: true })
    await using connected = await connect(50, broker.port, { qos: 2 })
    await connected.run(forever())
    await vi.waitFor(() => expect(connected.record.total.acknowledged).toBe(15))
    expect(connected.counters()).toMatchObject({ published: 15, inFlight: 15, waiting: 35 })
  })

  it('fail to start without a broker, and name its address', async () => {
    const broker = await startBroker()
    await broker[Symbol.asyncDispose]()
    await expect(connect(1, broker.port, { connectTimeoutMs: 50 })).rejects.toThrow(
      `0 of 3 devices' connections to 127.0.0.1:${broker.port} are up`,
    )
  })

  it('reject wrong options by name', async () => {
    await expect(connect(1, 1, { devices: [] })).rejects.toThrow('devices is empty')
    await expect(connect(1, 1, { inFlightMax: 0 })).rejects.toThrow('inFlightMax is 0')
    await expect(connect(1, 1, { ratePerSecond: 0 })).rejects.toThrow('ratePerSecond is 0')
    const wildcard = [{ site: 'hq', zone: 'f1#2', name: 'd' }]
    await expect(connect(1, 1, { devices: wildcard })).rejects.toThrow('zone/f1#2/sensor/d has a +')
  })

  it('reconnect after a CONNACK that refuses', async () => {
    await using broker = await startBroker({ refuse: 4 })
    await using connected = await connect(20, broker.port)
    await connected.run(forever())
    expect(await connected.drain(10_000)).toBe(0)
    expect(connected.record.total.acknowledged).toBe(20)
  })
})

describe('devices on a broker that withholds acknowledgements', () => {
  it('keep at most inFlightMax messages unacknowledged, queue the rest, and count both', async () => {
    await using broker = await startBroker({
      answer: ({ number }) => (number < 30 ? 'acknowledge' : 'withhold'),
    })
    await using connected = await connect(100, broker.port, { connections: 1 })
    await connected.run(forever())
    await vi.waitFor(() => expect(connected.record.total.acknowledged).toBe(30))
    expect(await connected.drain(1)).toBe(70)
    expect(acknowledgedBy(connected)).toEqual(numbersTo(30))
    expect(connected.record.messageAt(34)).toEqual({
      deviceIndex: 6,
      acknowledged: false,
      resent: false,
    })
    expect(connected.record.messageAt(35)).toBeUndefined()
    expect(connected.counters()).toMatchObject({
      ...{ scheduled: 100, published: 35, acknowledged: 30, inFlight: 5, waiting: 65 },
    })
    expect(connected.counters().delayed).toBeGreaterThanOrEqual(65)

    broker.release()
    expect(await connected.drain(10_000)).toBe(0)
    expect(acknowledgedBy(connected)).toEqual(numbersTo(100))
    expect(broker.arrivals).toHaveLength(100)
  })

  it('stop the schedule when too many messages wait; a run of a duration still ends', async () => {
    await using broker = await startBroker({ answer: () => 'withhold' })
    await using connected = await connect(1e9, broker.port, {
      ...{ connections: 1, waitingMax: 10, ratePerSecond: 1000 },
    })
    await connected.run(60)
    expect(connected.counters()).toMatchObject({ scheduled: 60, inFlight: 5, waiting: 10 })
  })

  it('do not delay devices of other connections', async () => {
    const stuck = 'building/hq/zone/f1-east/sensor/hq-co2-0'
    await using broker = await startBroker({
      answer: ({ topic }) => (topic === stuck ? 'withhold' : 'acknowledge'),
    })
    await using connected = await connect(140, broker.port, { connections: 7 })
    await connected.run(forever())
    await vi.waitFor(() => expect(connected.record.total.acknowledged).toBe(120))
    expect(connected.record.tallyOf(0)).toEqual({ published: 5, acknowledged: 0, resent: 0 })
  })
})
