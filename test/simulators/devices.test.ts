import { describe, expect, it, vi } from 'vitest'
import {
  type Address,
  type ConnectedDevices,
  connectDevices,
  type DevicesOptions,
} from '../../simulators/devices/devices.ts'
import { type Arrival, startBroker, type TestBroker } from './devices-broker.ts'

const devices: Address[] = Array.from({ length: 7 }, (_, at) => ({
  site: 'hq',
  zone: `f${1 + Math.floor(at / 3)}-east`,
  name: `hq-co2-${at}`,
}))

/** `count` messages in all, one device after the other, as fast as they are acknowledged. */
function connect(count: number, port: number, more: Partial<DevicesOptions<Address>> = {}) {
  return connectDevices<Address>({
    host: '127.0.0.1',
    port,
    devices,
    connections: 3,
    inFlightMax: 5,
    ratePerSecond: Number.POSITIVE_INFINITY,
    reconnectMinMs: 5,
    reconnectMaxMs: 15,
    next: n => (n < count ? { device: devices[n % 7]!, payload: { co2: 400 + n } } : null),
    ...more,
  })
}

const forever = () => new AbortController().signal
const numbersTo = (count: number) => Array.from({ length: count }, (_, n) => n)

function acknowledgedBy(connected: ConnectedDevices): number[] {
  return numbersTo(connected.record.length).filter(connected.record.isAcknowledged)
}

/** Within a connection a device's numbers rise; over all of them each new number is the next. */
function expectOrderWithinDevices(arrivals: readonly Arrival[]) {
  const lastOnConnection = new Map<string, number>()
  const highest = new Map<string, number>()
  for (const { topic, connection, number } of arrivals) {
    const key = `${topic} ${connection}`
    expect(number).toBeGreaterThan(lastOnConnection.get(key) ?? -1)
    lastOnConnection.set(key, number)
    const seen = highest.get(topic)
    if (number > (seen ?? -1)) {
      if (seen !== undefined) expect(number).toBe(seen + devices.length)
      highest.set(topic, number)
    }
  }
}

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
    expect(connected.record.of(1)).toEqual({ published: 15, acknowledged: 15, resent: 0 })
    expect(connected.record.of(2)).toEqual({ published: 14, acknowledged: 14, resent: 0 })
    expect(connected.counters()).toMatchObject({
      ...{ scheduled: 100, published: 100, acknowledged: 100, resent: 0 },
      ...{ inFlight: 0, waiting: 0, reconnects: 0, connected: 3 },
    })
  })

  it('put what is due within the time, neither more nor less', async () => {
    await using broker = await startBroker()
    await using connected = await connect(1e9, broker.port, { ratePerSecond: 1000 })
    await connected.run(50)
    await connected.run(30)
    expect(await connected.drain(10_000)).toBe(0)
    expect(connected.counters()).toMatchObject({ scheduled: 80, acknowledged: 80 })
    expect(broker.arrivals).toHaveLength(80)
  })

  it('stop when told to, and go on with the next number', async () => {
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
    expect(connected.record.total.published).toBe(published + 10)
    expectOrderWithinDevices(broker.arrivals)
  })

  it('are told apart by quality of service: 0 is never acknowledged, 2 is at PUBREC', async () => {
    await using broker = await startBroker()
    const qos = (device: Address) => (Number(device.name.at(-1)) % 3) as 0 | 1 | 2
    await using connected = await connect(70, broker.port, { qos })
    await connected.run(forever())
    expect(await connected.drain(10_000)).toBe(0)
    await vi.waitFor(() => expect(broker.delivered).toHaveLength(70))
    for (const [at, device] of devices.entries()) {
      const acknowledged = qos(device) === 0 ? 0 : 10
      expect(connected.record.of(at)).toEqual({ published: 10, acknowledged, resent: 0 })
    }
  })

  it('have a QoS 2 message acknowledged from PUBREC on, and in flight until PUBCOMP', async () => {
    await using broker = await startBroker({ withholdPubcomp: true })
    await using connected = await connect(50, broker.port, { qos: 2 })
    await connected.run(forever())
    await vi.waitFor(() => expect(connected.record.total.acknowledged).toBe(15))
    expect(connected.counters()).toMatchObject({ published: 15, inFlight: 15, waiting: 35 })
  })

  it('refuse to start without one, and say where they looked', async () => {
    const broker = await startBroker()
    await broker[Symbol.asyncDispose]()
    await expect(connect(1, broker.port, { connectTimeoutMs: 50 })).rejects.toThrow(
      `0 of 3 devices' connections to 127.0.0.1:${broker.port} are up`,
    )
  })

  it('refuse options that cannot work, naming them', async () => {
    await expect(connect(1, 1, { devices: [] })).rejects.toThrow('devices is empty')
    await expect(connect(1, 1, { inFlightMax: 0 })).rejects.toThrow('inFlightMax is 0')
    await expect(connect(1, 1, { ratePerSecond: 0 })).rejects.toThrow('ratePerSecond is 0')
    const wildcard = [{ site: 'hq', zone: 'f1#2', name: 'd' }]
    await expect(connect(1, 1, { devices: wildcard })).rejects.toThrow('zone/f1#2/sensor/d has a +')
  })

  it('come back after a CONNACK that refuses', async () => {
    await using broker = await startBroker({ refuse: 4 })
    await using connected = await connect(20, broker.port)
    await connected.run(forever())
    expect(await connected.drain(10_000)).toBe(0)
    expect(connected.record.total.acknowledged).toBe(20)
  })
})

describe('devices on a broker that withholds', () => {
  it('keep at most inFlightMax unacknowledged, wait with the rest, and count it', async () => {
    await using broker = await startBroker({
      answer: ({ number }) => (number < 30 ? 'acknowledge' : 'withhold'),
    })
    await using connected = await connect(100, broker.port, { connections: 1 })
    await connected.run(forever())
    await vi.waitFor(() => expect(connected.record.total.acknowledged).toBe(30))
    expect(await connected.drain(1)).toBe(70)
    expect(acknowledgedBy(connected)).toEqual(numbersTo(30))
    expect(connected.record.at(34)).toEqual({ deviceIndex: 6, acknowledged: false, resent: false })
    expect(connected.record.at(35)).toBeUndefined()
    expect(connected.counters()).toMatchObject({
      ...{ scheduled: 100, published: 35, acknowledged: 30, inFlight: 5, waiting: 65 },
    })
    expect(connected.counters().delayed).toBeGreaterThanOrEqual(65)

    broker.release()
    expect(await connected.drain(10_000)).toBe(0)
    expect(acknowledgedBy(connected)).toEqual(numbersTo(100))
    expect(broker.arrivals).toHaveLength(100)
  })

  it('stop the schedule when too many wait; a run of a duration still ends', async () => {
    await using broker = await startBroker({ answer: () => 'withhold' })
    await using connected = await connect(1e9, broker.port, {
      ...{ connections: 1, waitingMax: 10, ratePerSecond: 1000 },
    })
    await connected.run(60)
    expect(connected.counters()).toMatchObject({ scheduled: 60, inFlight: 5, waiting: 10 })
  })

  it('do not hold back devices of other connections', async () => {
    const stuck = 'building/hq/zone/f1-east/sensor/hq-co2-0'
    await using broker = await startBroker({
      answer: ({ topic }) => (topic === stuck ? 'withhold' : 'acknowledge'),
    })
    await using connected = await connect(140, broker.port, { connections: 7 })
    await connected.run(forever())
    await vi.waitFor(() => expect(connected.record.total.acknowledged).toBe(120))
    expect(connected.record.of(0)).toEqual({ published: 5, acknowledged: 0, resent: 0 })
  })
})

/** Runs all messages; the broker is replaced (same port) whenever `kills` says so. */
async function runThroughKills(count: number, kills: readonly number[], answer: BrokerAnswer) {
  const arrivals: Arrival[] = []
  const brokers: TestBroker[] = []
  let connected: ConnectedDevices | undefined
  let due: (() => void) | undefined
  const left = [...kills]
  const lives = new Set<number>()
  const answerAll = (arrival: Arrival) => {
    const broker = brokers.length
    // one count for the connections of all brokers
    arrivals.push({ ...arrival, connection: broker * 10_000 + arrival.connection })
    if (arrival.dup && !lives.has(arrival.number)) {
      expect(connected?.record.isAcknowledged(arrival.number)).toBe(false)
    }
    if (arrivals.length >= (left[0] ?? Number.POSITIVE_INFINITY)) {
      left.shift()
      due?.()
    }
    const verdict = answer(arrival, arrivals.length)
    if (verdict === 'acknowledge') lives.add(arrival.number)
    return verdict
  }
  const start = async (port = 0) => brokers.push(await startBroker({ port, answer: answerAll }))
  await start()
  const { port } = brokers[0]!
  const ended = new AbortController()
  const killing = async () => {
    while (left.length > 0 && !ended.signal.aborted) {
      await new Promise<void>(resolve => {
        due = resolve
        ended.signal.addEventListener('abort', () => resolve())
      })
      if (ended.signal.aborted) return
      await brokers.at(-1)![Symbol.asyncDispose]()
      const acknowledged = new Set(brokers.flatMap(broker => [...broker.acknowledged]))
      expect(acknowledgedBy(connected!).filter(number => !acknowledged.has(number))).toEqual([])
      await start(port)
    }
  }
  await using live = await connect(count, port)
  connected = live
  const kill = killing()
  await live.run(forever())
  const outstanding = await live.drain(20_000)
  ended.abort()
  await kill
  const result = { arrivals, outstanding, counters: live.counters(), record: live.record }
  await Promise.all(brokers.slice(-1).map(broker => broker[Symbol.asyncDispose]()))
  return { ...result, acknowledged: acknowledgedBy(live) }
}

type BrokerAnswer = (arrival: Arrival, nth: number) => 'acknowledge' | 'lose' | 'cut'

describe('devices on a broker that dies', () => {
  it('send again in order what was not acknowledged, marked as sent again', async () => {
    const count = 1500
    const run = await runThroughKills(count, [200, 500, 900], () => 'acknowledge')
    expect(run.outstanding).toBe(0)
    expect(run.acknowledged).toEqual(numbersTo(count))
    expectOrderWithinDevices(run.arrivals)
    expect(run.counters.reconnects).toBeGreaterThanOrEqual(9)
    expectResendsMarked(run)
  })

  it('believe no acknowledgement that was lost on the wire', async () => {
    const count = 1000
    const run = await runThroughKills(count, [], (_, nth) => {
      if (nth % 90 === 0) return 'lose'
      return nth % 130 === 0 ? 'cut' : 'acknowledge'
    })
    expect(run.outstanding).toBe(0)
    expect(run.acknowledged).toEqual(numbersTo(count))
    expect(run.counters.resent).toBeGreaterThan(10)
    expectOrderWithinDevices(run.arrivals)
    expectResendsMarked(run)
  })

  it('deliver QoS 2 once through lost connections', async () => {
    await using broker = await startBroker({
      onDelivered: (number, cut) => number % 150 === 149 && cut(),
    })
    await using connected = await connect(900, broker.port, { qos: 2 })
    await connected.run(forever())
    expect(await connected.drain(10_000)).toBe(0)
    expect(connected.counters().resent).toBeGreaterThan(0)
    expect([...broker.delivered].sort((a, b) => a - b)).toEqual(numbersTo(900))
  })

  it('can be disposed of while it is away, and keep what they know', async () => {
    const broker = await startBroker({ answer: () => 'withhold' })
    const connected = await connect(50, broker.port)
    await connected.run(forever())
    await vi.waitFor(() => expect(broker.arrivals.length).toBeGreaterThan(0))
    await broker[Symbol.asyncDispose]()
    await connected[Symbol.asyncDispose]()
    expect(connected.record.total).toEqual({ published: 15, acknowledged: 0, resent: 0 })
  })
})

/** Whatever arrived before carries DUP, and the record knows every one of them. */
function expectResendsMarked({ arrivals, record }: { arrivals: Arrival[] } & Ran) {
  const seen = new Set<number>()
  for (const { number, dup } of arrivals) {
    if (seen.has(number)) expect(dup).toBe(true)
    if (dup) expect(record.at(number)?.resent).toBe(true)
    seen.add(number)
  }
}

type Ran = Pick<ConnectedDevices, 'record'>
