import { describe, expect, it, vi } from 'vitest'
import type { ConnectedDevices } from '../../../simulators/devices/devices.ts'
import { type Arrival, startBroker, type TestBroker } from './devices-broker.ts'
import {
  acknowledgedBy,
  connect,
  expectOrderWithinDevices,
  forever,
  numbersTo,
} from './devices-fixture.ts'

type BrokerAnswer = (arrival: Arrival, nth: number) => 'acknowledge' | 'lose' | 'cut'

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
    if (dup) expect(record.messageAt(number)?.resent).toBe(true)
    seen.add(number)
  }
}

type Ran = Pick<ConnectedDevices, 'record'>
