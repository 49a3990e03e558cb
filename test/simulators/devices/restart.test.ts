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

type BrokerAnswer = (arrival: Arrival, nth: number) => 'acknowledge' | 'lose' | 'disconnect'

/**
 * Sends all messages. After each number of arrivals in `kills`, a new broker on the same port
 * replaces the broker.
 */
async function runThroughKills(count: number, kills: readonly number[], answer: BrokerAnswer) {
  const arrivals: Arrival[] = []
  const brokers: TestBroker[] = []
  let connected: ConnectedDevices | undefined
  let killNow: (() => void) | undefined
  const remainingKills = [...kills]
  const acknowledgedOnce = new Set<number>()
  const answerAll = (arrival: Arrival) => {
    const broker = brokers.length
    // Connections of different brokers must have different numbers.
    arrivals.push({ ...arrival, connection: broker * 10_000 + arrival.connection })
    if (arrival.dup && !acknowledgedOnce.has(arrival.number)) {
      expect(connected?.record.isAcknowledged(arrival.number)).toBe(false)
    }
    if (arrivals.length >= (remainingKills[0] ?? Number.POSITIVE_INFINITY)) {
      remainingKills.shift()
      killNow?.()
    }
    const reaction = answer(arrival, arrivals.length)
    if (reaction === 'acknowledge') acknowledgedOnce.add(arrival.number)
    return reaction
  }
  const start = async (port = 0) => brokers.push(await startBroker({ port, answer: answerAll }))
  await start()
  const { port } = brokers[0]!
  const ended = new AbortController()
  const killing = async () => {
    while (remainingKills.length > 0 && !ended.signal.aborted) {
      await new Promise<void>(resolve => {
        killNow = resolve
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
  it('resend unacknowledged messages in order, marked with DUP', async () => {
    const count = 1500
    const run = await runThroughKills(count, [200, 500, 900], () => 'acknowledge')
    expect(run.outstanding).toBe(0)
    expect(run.acknowledged).toEqual(numbersTo(count))
    expectOrderWithinDevices(run.arrivals)
    expect(run.counters.reconnects).toBeGreaterThanOrEqual(9)
    expectResendsMarked(run)
  })

  it('never count an acknowledgement that was lost on the wire', async () => {
    const count = 1000
    const run = await runThroughKills(count, [], (_, nth) => {
      if (nth % 90 === 0) return 'lose'
      return nth % 130 === 0 ? 'disconnect' : 'acknowledge'
    })
    expect(run.outstanding).toBe(0)
    expect(run.acknowledged).toEqual(numbersTo(count))
    expect(run.counters.resent).toBeGreaterThan(10)
    expectOrderWithinDevices(run.arrivals)
    expectResendsMarked(run)
  })

  it('deliver QoS 2 once through lost connections', async () => {
    await using broker = await startBroker({
      onDelivered: (number, disconnectAll) => number % 150 === 149 && disconnectAll(),
    })
    await using connected = await connect(900, broker.port, { qos: 2 })
    await connected.run(forever())
    expect(await connected.drain(10_000)).toBe(0)
    expect(connected.counters().resent).toBeGreaterThan(0)
    expect([...broker.delivered].sort((a, b) => a - b)).toEqual(numbersTo(900))
  })

  it('can be disposed while the broker is down, and keep their record', async () => {
    const broker = await startBroker({ answer: () => 'withhold' })
    const connected = await connect(50, broker.port)
    await connected.run(forever())
    await vi.waitFor(() => expect(broker.arrivals.length).toBeGreaterThan(0))
    await broker[Symbol.asyncDispose]()
    await connected[Symbol.asyncDispose]()
    expect(connected.record.total).toEqual({ published: 15, acknowledged: 0, resent: 0 })
  })
})

/**
 * Expects that each number that arrives a second time has DUP, and that the record counts it as
 * resent.
 */
function expectResendsMarked({
  arrivals,
  record,
}: { arrivals: Arrival[] } & Pick<ConnectedDevices, 'record'>) {
  const seen = new Set<number>()
  for (const { number, dup } of arrivals) {
    if (seen.has(number)) expect(dup).toBe(true)
    if (dup) expect(record.messageAt(number)?.resent).toBe(true)
    seen.add(number)
  }
}
