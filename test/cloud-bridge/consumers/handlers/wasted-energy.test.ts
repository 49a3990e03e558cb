import { describe, expect, it } from 'vitest'
import { handler, type Room } from '../../../../cloud-bridge/consumers/handlers/wasted-energy.ts'
import type { ReceivedEvent } from '../../../../cloud-bridge/consumers/runtime/handler.ts'
import { minuteAt, readingOf } from './readings.ts'

type Reading = Parameters<typeof readingOf> extends [unknown, number, ...infer Rest] ? Rest : never

/** The handler's state and effects after readings of one zone, a minute apart. */
function run(...readings: [device: string, ...Reading][]) {
  let state: Room = handler.initial
  const sent: object[] = []
  for (const [index, [device, ...reading]] of readings.entries()) {
    const event = readingOf({ device }, index + 1, ...reading)
    const result = handler.handle(state, received(event, 'in order'))
    state = result.state
    sent.push(...(result.effects ?? []).map(({ value }) => value))
  }
  return { state, sent }
}

function received(event: ReceivedEvent['event'], arrival: ReceivedEvent['arrival']): ReceivedEvent {
  const record = { partition: 0, offset: 0, appendTimeMs: 0, key: null, value: Buffer.alloc(0) }
  return { event, arrival, topic: 'readings', record: { ...record, headers: {} } }
}

describe('wasted energy', () => {
  it('is the rise of the meters while the zone is empty, sent when somebody comes', () => {
    const { state, sent } = run(
      ['m1', 'energy_kwh', 10],
      ['p1', 'people', 2],
      ['m1', 'energy_kwh', 11],
      ['p1', 'people', 0],
      ['m1', 'energy_kwh', 11.25],
      ['m2', 'energy_kwh', 500],
      ['m2', 'energy_kwh', 500.5],
      ['p1', 'people', 1],
    )
    const time = { from: minuteAt(4), to: minuteAt(8) }
    const alert = { kind: 'wasted energy', site: 'hq', zone: 'z1', ...time, wastedKwh: 0.75 }
    expect(sent).toEqual([alert])
    expect(state).toMatchObject({ emptySince: null, wastedKwh: 0 })
  })

  it('is none while one of several sensors reports people, or no sensor reports', () => {
    const unknown = run(['m', 'energy_kwh', 1], ['m', 'energy_kwh', 9], ['p', 'people', 1])
    const shared = run(
      ['p1', 'people', 0],
      ['p2', 'people', 3],
      ['m', 'energy_kwh', 1],
      ['m', 'energy_kwh', 9],
      ['p2', 'people', 0],
      ['p1', 'people', 1],
    )
    expect([...unknown.sent, ...shared.sent]).toEqual([])
  })

  it('starts at the value of an exchanged meter, and is not sent below the minimum', () => {
    const { sent } = run(
      ['p', 'people', 0],
      ['m', 'energy_kwh', 90],
      ['m', 'energy_kwh', 3],
      ['m', 'energy_kwh', 3.04],
      ['p', 'people', 1],
    )
    expect(sent).toEqual([])
  })

  it('ignores late readings', () => {
    const { state } = run(['p', 'people', 0])
    const late = received(readingOf({ device: 'p' }, 9, 'people', 5), 'late')
    expect(handler.handle(state, late)).toEqual({ state })
  })
})
