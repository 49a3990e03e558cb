import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaults, type Route } from '../../../config/config.ts'
import { encodeEvent } from '../../../config/event/sensor-reading.ts'
import { createFateDecision, messageHash } from '../../../gateway/ingest/fate.ts'

const [building] = defaults.ingest.routes
const timed: Route = {
  topic: 'timed/{zone}/{device}',
  format: 'json',
  site: 'hq',
  time: { field: 'ts', unit: 's' },
}
const ingest = { ...defaults.ingest, payloadMaxBytes: 100, routes: [building!, timed] }
const fateOf = createFateDecision(ingest)

const topic = 'building/hq/zone/z 1/sensor/é'
const message = (more: { topic?: string; payload?: Buffer | string } = {}) => {
  const { payload = '{"co2":400}', ...rest } = more
  const bytes = Buffer.from(payload as string)
  return { topic, receivedAt: 7, clock: 'HOLDOVER' as const, ...rest, payload: bytes }
}

describe('the fate of a message', () => {
  it('is a reading when it can be routed and decoded', () => {
    const co2 = { metric: 'co2', number: 400, flag: null, text: null, unit: null }
    expect(fateOf(message())).toEqual({
      reading: {
        ...{ site: 'hq', zone: 'z 1', device: 'é', observedAt: null, receivedAt: 7 },
        ...{ clock: 'HOLDOVER', measurements: [co2], source: { topic, format: 'json' } },
        traceparent: null,
      },
    })
  })

  it('is a dead letter when the program fails to decode the message', () => {
    const unknown = { ...building!, format: 'unknown' as 'json' }
    const decide = createFateDecision({ ...ingest, routes: [unknown] })
    expect(decide(message())).toMatchObject({
      deadLetter: {
        reason: expect.stringMatching(/^the gateway failed to decode the message: /),
        payload: Buffer.from('{"co2":400}'),
        topic,
      },
    })
  })

  it('is a reading of the lane that the route names', () => {
    const alarm = { ...timed, lane: 'alarms' }
    const inLane = createFateDecision({ ...ingest, routes: [alarm] })
    const fate = inLane(message({ topic: 'timed/z/d', payload: '{"ts":5,"a":true}' }))
    expect('reading' in fate && fate.reading.lane).toBe('alarms')
    const other = fateOf(message())
    expect('reading' in other && other.reading.lane).toBe(undefined)
  })

  it("is a reading with the device's time when the route names its field", () => {
    const fate = fateOf(message({ topic: 'timed/z/d', payload: '{"ts":5,"a":true}' }))
    expect(fate).toMatchObject({
      reading: { site: 'hq', zone: 'z', device: 'd', observedAt: 5000 },
    })
    expect('reading' in fate && fate.reading.measurements).toHaveLength(1)
  })

  it.each([
    [{ topic: 'somewhere/else' }, 'no route matches topic', 'topic'],
    [{ topic: 'building/hq/zone//sensor/d' }, 'zone is empty', 'topic'],
    [{ topic: 'building//zone/z/sensor/d' }, 'site is empty', 'topic'],
    [{ topic: 'building/hq/zone/z/sensor/' }, 'device is empty', 'topic'],
    [{ topic: '' }, 'no route matches topic', 'topic'],
    [{ payload: '' }, 'the payload is empty', ''],
    [{ payload: Buffer.from('ff', 'hex') }, 'not valid UTF-8', ''],
    [{ payload: '{"a":{"b":1e999}}' }, 'a number is out of range', 'a.b'],
    [{ payload: `"${'x'.repeat(99)}"` }, 'the payload is larger than 100 bytes', ''],
    [{ topic: 'timed/z/d', payload: '{"ts":"now"}' }, 'no time in unit s', 'ts'],
  ])('is a dead letter for %j: %s', (given, reason, place) => {
    const received = message(given)
    const deadLetter = { reason, place, topic: received.topic, payload: received.payload }
    expect(fateOf(received)).toEqual({ deadLetter })
  })

  it('is decided by bytes, not characters, up to payloadMaxBytes', () => {
    expect(fateOf(message({ payload: `"${'é'.repeat(49)}"` }))).toHaveProperty('reading')
    expect(fateOf(message({ payload: `"${'é'.repeat(50)}"` }))).toHaveProperty('deadLetter')
  })

  it('is a reading or a dead letter for any message, and every reading can be encoded', () => {
    const numbers = { id: 'i', gateway: 'g', epoch: 1, sequence: 1, zoneSequence: 1 }
    const topics = fc.oneof(
      fc.constantFrom(topic, 'timed/z/d'),
      fc.string({ unit: 'binary' }),
      fc.string().map(text => `building/hq/zone/${text}/sensor/d`),
    )
    const payloads = fc.oneof(
      fc.json().map(text => Buffer.from(text)),
      fc.uint8Array().map(bytes => Buffer.from(bytes)),
    )
    fc.assert(
      fc.property(topics, payloads, (where, payload) => {
        const fate = fateOf({ ...message({ topic: where }), payload })
        expect(Object.keys(fate)).toHaveLength(1)
        if ('deadLetter' in fate) expect(fate.deadLetter.payload).toBe(payload)
        else expect(encodeEvent({ ...numbers, ...fate.reading }).length).toBeGreaterThan(10)
      }),
      { numRuns: 500 },
    )
  })
})

describe('the hash of a message', () => {
  it('differs with the topic, the payload, and the border between them', () => {
    const hash = (where: string, what: string) =>
      messageHash({ topic: where, payload: Buffer.from(what) }).toString('hex')
    const all = [hash('a', 'b'), hash('ab', ''), hash('', 'ab'), hash('a', 'c'), hash('b', 'b')]
    expect(new Set(all).size).toBe(all.length)
    expect(hash('a', 'b')).toBe(hash('a', 'b'))
  })
})
