import { describe, expect, it } from 'vitest'
import { encodeEvent } from '../../config/event/sensor-reading.ts'
import { goldenEvent } from '../config/event/events-fixture.ts'
import { readArguments } from './arguments.ts'
import { slopePerMinute } from './benches/memory.ts'
import { type Arrival, judgeArrivals } from './load/judgement.ts'
import { createPacketRing, FIRST_NUMBER, PAYLOAD_BYTES } from './load/packets.ts'
import { locationOf } from './load/readings.ts'
import { isReached, type Measurement, summarizeRuns } from './measure/figures.ts'
import { percentilesOf } from './measure/percentiles.ts'
import { costBetween } from './measure/samples.ts'
import { tableOf } from './measure/table.ts'
import { fullSizes } from './sizes.ts'

const DEVICES = 2

/** A record of message `number`, published at 1 s and readable `afterMs` later. */
function arrival(number: number, zoneSequence: number, afterMs = 1): Arrival {
  const measurement = (metric: string, value: number) => ({
    ...{ metric, number: value, flag: null, text: null, unit: null },
  })
  const measurements = [
    measurement('bench_id', FIRST_NUMBER + number),
    measurement('bench_ts', 1_000_000),
  ]
  const { zone } = locationOf(number % DEVICES)
  const value = encodeEvent({ ...goldenEvent, zone, zoneSequence, measurements })
  return { value, atUs: 1_000_000 + afterMs * 1000 }
}

describe('the judge of a run', () => {
  const sound = [arrival(0, 1), arrival(1, 1, 2), arrival(2, 2, 3), arrival(3, 2, 4)]

  it('finds no fault in a sound run, and reports its latencies', () => {
    const latencyMs = { p50: 2, p99: 4, max: 4 }
    const counts = { delivered: 4, lost: 0, rawDuplicates: 0, inversions: 0 }
    expect(judgeArrivals(sound, [2, 2])).toEqual({ ...counts, latencyMs, lastAtUs: 1_004_000 })
  })

  it('counts acknowledged messages without a record as lost, and no unacknowledged message', () => {
    expect(judgeArrivals(sound.slice(0, 3), [2, 2])).toMatchObject({ delivered: 3, lost: 1 })
    expect(judgeArrivals(sound.slice(0, 3), [2, 1])).toMatchObject({ delivered: 3, lost: 0 })
  })

  it('counts a second record as a duplicate, and not as out of order', () => {
    const twice = judgeArrivals([...sound, arrival(0, 1, 50)], [2, 2])
    expect(twice).toMatchObject({ delivered: 4, rawDuplicates: 1, inversions: 0 })
    expect(twice.latencyMs?.max).toBe(4)
  })

  it('counts a message after a later message of its device or of its zone', () => {
    expect(judgeArrivals([arrival(2, 1), arrival(0, 2)], [2, 0]).inversions).toBe(1)
    expect(judgeArrivals([arrival(0, 2), arrival(2, 1)], [2, 0]).inversions).toBe(1)
  })
})

describe('the packets of the generator', () => {
  it('hold the topic, the packet id, the number, the publish time and changing values', () => {
    const ring = createPacketRing(31, 4)
    ring.write(1, 65_536, 123_456_789, 1_000_004_350_193_580.5)
    ring.write(2, 65_537, 7, 1_000_000_000_000_001)
    const [one, other] = [Buffer.from(ring.bytes(1, 1)), Buffer.from(ring.bytes(2, 1))]
    const payloads = [one, other].map(bytes => JSON.parse(String(bytes.subarray(-PAYLOAD_BYTES))))
    expect(one.subarray(0, 3)).toEqual(Buffer.from([0x32, ((one.length - 3) & 127) | 128, 1]))
    expect(String(one.subarray(5, -PAYLOAD_BYTES - 2))).toBe('building/hq/zone/z7/sensor/s31')
    expect(one.readUInt16BE(one.length - PAYLOAD_BYTES - 2)).toBe(2)
    expect(payloads[0]).toMatchObject({ bench_id: 1_123_456_789, bench_ts: 1_000_004_350_193_580 })
    expect(payloads[1]).toMatchObject({ bench_id: 1_000_000_007, bench_ts: 1_000_000_000_000_001 })
    expect(payloads[0].humidity).not.toBe(payloads[1].humidity)
    expect(ring.bytes(1, 2)).toEqual(Buffer.concat([one, other]))
  })
})

describe('the figures', () => {
  const measured = (value: number | null, target?: Measurement['target']): Measurement[] => [
    { figure: 'CPU', of: 'gateway', unit: 's/million', value, ...(target && { target }) },
  ]

  it('are the median of the runs with minimum and maximum', () => {
    const over = (...values: (number | null)[]) =>
      summarizeRuns(values.map(one => measured(one)))[0]
    expect(over(7, 3, 5)).toMatchObject({ value: 5, min: 3, max: 7, runs: 3 })
    expect(over(1, 2)).toMatchObject({ value: 1.5, min: 1, max: 2 })
    expect(over(1, null)).toMatchObject({ value: null, min: null, max: null })
    expect(summarizeRuns([])).toEqual([])
  })

  it('say whether their target is reached', () => {
    const reached = (...all: Parameters<typeof measured>) => isReached(measured(...all)[0]!)
    expect(reached(36, { atMost: 36 })).toBe(true)
    expect(reached(37, { atMost: 36 })).toBe(false)
    expect(reached(0.49, { atLeast: 0.5 })).toBe(false)
    expect(reached(150, { below: 150 })).toBe(false)
    expect(reached(null, { below: 150 })).toBeNull()
  })

  it('form one table, each row as wide as the others', () => {
    const [figure] = summarizeRuns([measured(12.345678, { atMost: 36 })])
    const lines = tableOf([{ part: 'throughput', figure: figure! }]).split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[2]).toMatch(/throughput .* 12\.35 .* <= 36 .* yes/)
    expect(new Set(lines.map(({ length }) => length)).size).toBe(1)
  })

  it('come from sorted values, from the CPU between two counts, and from a least-squares line', () => {
    const values = Float64Array.from({ length: 200 }, (_, at) => 200 - at)
    expect(percentilesOf(values)).toEqual({ p50: 100, p99: 198, max: 200 })
    expect(percentilesOf(new Float64Array())).toBeNull()
    const samples = [0, 400, 1000].map((delivered, at) => ({ delivered, cpuSeconds: at, atMs: at }))
    expect(costBetween(samples, 200, 700)).toBeCloseTo(2000)
    expect(costBetween(samples, 200, 1001)).toBeNull()
    expect(slopePerMinute([0, 1, 2].map(at => ({ atMs: at * 30_000, rssMb: 100 + at })))).toBe(2)
  })
})

describe('the command line of the bench', () => {
  const parts = ['ingest', 'memory']

  it('selects all benches unless some are named, in their order', () => {
    const clients = ['kafkajs', 'platformatic']
    const all = { names: parts, runs: 1, sizes: fullSizes, clients, isQuick: false }
    expect(readArguments([], parts)).toEqual(all)
    expect(readArguments(['memory', '--runs', '3'], parts)).toMatchObject({
      ...{ names: ['memory'], runs: 3 },
    })
    expect(readArguments(['--minutes', '2'], parts)).toMatchObject({
      sizes: { memory: { minutes: 2 } },
    })
  })

  it('refuses unknown arguments', () => {
    expect(() => readArguments(['nothing'], parts)).toThrow('called nothing')
    expect(() => readArguments(['--runs', 'many'], parts)).toThrow('--runs')
    expect(() => readArguments(['--client', 'none'], parts)).toThrow('--client')
  })
})
