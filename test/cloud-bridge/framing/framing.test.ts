import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createFraming, singleObjectFraming } from '../../../cloud-bridge/framing/framing.ts'
import type { FramedEvents } from '../../../cloud-bridge/ports/event-sink.ts'
import {
  decodeEvent,
  encodeEvent,
  type SensorReading,
} from '../../../config/event/sensor-reading.ts'
import { releasedSchemas } from '../../../config/schemas/released.ts'
import { event, goldenEvent, tracedEvent } from '../../config/event/events-fixture.ts'

const type = { 'content-type': 'application/vnd.apache.avro' }
const { traceparent } = tracedEvent as { traceparent: string }
const stored = (one: SensorReading, schema = releasedSchemas.at(-1)!) => ({
  ...{ zone: one.zone, value: encodeEvent(one, schema), event: one },
})
const each = ({ values, headers }: FramedEvents) =>
  values.map((value, index) => ({ value, headers: headers[index]! }))
/** Numbers beyond a byte, which tell schemas and topics apart. */
const idOf = (topic: string, fingerprint: Buffer) =>
  topic.length * 0x10101 +
  releasedSchemas.findIndex(schema => schema.fingerprint.equals(fingerprint))

it('leaves events as they lie in the outbox, with a trace beside them when they have one', async () => {
  const events = [stored(goldenEvent), stored(tracedEvent), stored(goldenEvent, releasedSchemas[0])]
  const framed = each(await singleObjectFraming('readings', events))
  expect(framed.map(({ value }, index) => value === events[index]!.value)).not.toContain(false)
  expect(framed.map(({ headers }) => headers)).toEqual([type, { ...type, traceparent }, type])
})

it('gives each event the number of the schema under which it was written', async () => {
  const anyStored = fc
    .tuple(event, fc.constantFrom(...releasedSchemas))
    .map(args => stored(...args))
  const batches = fc.tuple(fc.array(anyStored), fc.constantFrom('readings', 'backfill'))
  const property = async ([events, topic]: [ReturnType<typeof stored>[], string]) => {
    const before = events.map(({ value }) => Buffer.from(value))
    // Some are known at once, others must be asked for.
    const asked = (...at: [string, Buffer]) => {
      const id = idOf(...at)
      return id % 2 === 0 ? id : Promise.resolve(id)
    }
    const frame = createFraming({ schemaIdOf: asked, cloudEvents: false })
    const framed = each(await frame(topic, events))
    expect(framed).toHaveLength(events.length)
    for (const [index, { value, headers }] of framed.entries()) {
      const { event: one, value: original } = events[index]!
      expect(original).toEqual(before[index])
      const id = Buffer.alloc(5)
      id.writeUInt32BE(idOf(topic, original.subarray(2, 10)), 1)
      expect(value).toEqual(Buffer.concat([id, original.subarray(10)]))
      const kept = original.subarray(2, 10).equals(releasedSchemas[0]!.fingerprint)
        ? null
        : one.traceparent
      expect(headers).toEqual(kept === null ? type : { ...type, traceparent: kept })
      expect(decodeEvent(value)).toEqual({ ...one, traceparent: kept })
    }
  }
  await fc.assert(fc.asyncProperty(batches, property))
})

it.each([
  ['in single-object encoding', null],
  ['in the wire format', idOf],
])('gives them the headers of CloudEvents, if asked for, %s', async (_, schemaIdOf) => {
  const gateways = ['g', 'gw-1', 'x'.repeat(63), 'y'.repeat(64)]
  const all = gateways.flatMap(gateway => releasedSchemas.map(schema => ({ gateway, schema })))
  const events = all.map(({ gateway, schema }) => stored({ ...tracedEvent, gateway }, schema))
  const framed = each(await createFraming({ schemaIdOf, cloudEvents: true })('readings', events))
  expect(framed.map(({ headers }) => headers)).toEqual(
    all.map(({ gateway, schema }) => ({
      ...type,
      ce_specversion: '1.0',
      ce_type: 'sluice.SensorReading',
      ce_id: tracedEvent.id,
      ce_source: `/sluice/${gateway}`,
      ce_subject: 'z 1',
      ...(schema !== releasedSchemas[0] && { traceparent }),
    })),
  )
})

it('passes on why there is no number', async () => {
  const schemaIdOf = () => Promise.reject(new Error('away'))
  const frame = createFraming({ schemaIdOf, cloudEvents: false })
  await expect(frame('readings', [stored(goldenEvent)])).rejects.toThrow('away')
  expect(each(await frame('readings', []))).toEqual([])
})
