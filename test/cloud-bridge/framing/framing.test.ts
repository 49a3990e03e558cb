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
const stored = (reading: SensorReading, schema = releasedSchemas.at(-1)!) => ({
  ...{ zone: reading.zone, value: encodeEvent(reading, schema), event: reading },
})
const recordsOf = ({ values, headers }: FramedEvents) =>
  values.map((value, index) => ({ value, headers: headers[index]! }))
/** A registry's schema ids: larger than a byte, and different for each schema and topic. */
const idOf = (topic: string, fingerprint: Buffer) =>
  topic.length * 0x10101 +
  releasedSchemas.findIndex(schema => schema.fingerprint.equals(fingerprint))

it('sends events as the outbox stores them, with a traceparent header when they have one', async () => {
  const events = [stored(goldenEvent), stored(tracedEvent), stored(goldenEvent, releasedSchemas[0])]
  const framed = recordsOf(await singleObjectFraming('readings', events))
  expect(framed.map(({ value }, index) => value === events[index]!.value)).not.toContain(false)
  expect(framed.map(({ headers }) => headers)).toEqual([type, { ...type, traceparent }, type])
})

it('writes the id of the schema under which each event was written', async () => {
  const anyStored = fc
    .tuple(event, fc.constantFrom(...releasedSchemas))
    .map(args => stored(...args))
  const batches = fc.tuple(fc.array(anyStored), fc.constantFrom('readings', 'backfill'))
  const property = async ([events, topic]: [ReturnType<typeof stored>[], string]) => {
    const before = events.map(({ value }) => Buffer.from(value))
    // Some ids are known at once, the others after a request.
    const schemaIdOf = (...args: [string, Buffer]) => {
      const id = idOf(...args)
      return id % 2 === 0 ? id : Promise.resolve(id)
    }
    const framing = createFraming({ schemaIdOf, cloudEvents: false })
    const framed = recordsOf(await framing(topic, events))
    expect(framed).toHaveLength(events.length)
    for (const [index, { value, headers }] of framed.entries()) {
      const { event: reading, value: original } = events[index]!
      expect(original).toEqual(before[index])
      const id = Buffer.alloc(5)
      id.writeUInt32BE(idOf(topic, original.subarray(2, 10)), 1)
      expect(value).toEqual(Buffer.concat([id, original.subarray(10)]))
      const traceparent = original.subarray(2, 10).equals(releasedSchemas[0]!.fingerprint)
        ? null
        : reading.traceparent
      expect(headers).toEqual(traceparent === null ? type : { ...type, traceparent })
      expect(decodeEvent(value)).toEqual({ ...reading, traceparent })
    }
  }
  await fc.assert(fc.asyncProperty(batches, property))
})

it.each([
  ['in single-object encoding', null],
  ['in the wire format', idOf],
])('adds the headers of CloudEvents, if configured, %s', async (_, schemaIdOf) => {
  const gateways = ['g', 'gw-1', 'x'.repeat(63), 'y'.repeat(64)]
  const all = gateways.flatMap(gateway => releasedSchemas.map(schema => ({ gateway, schema })))
  const events = all.map(({ gateway, schema }) => stored({ ...tracedEvent, gateway }, schema))
  const framed = recordsOf(
    await createFraming({ schemaIdOf, cloudEvents: true })('readings', events),
  )
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

it('rejects with the reason why there is no schema id', async () => {
  const schemaIdOf = () => Promise.reject(new Error('unavailable'))
  const framing = createFraming({ schemaIdOf, cloudEvents: false })
  await expect(framing('readings', [stored(goldenEvent)])).rejects.toThrow('unavailable')
  expect(recordsOf(await framing('readings', []))).toEqual([])
})
