import fc from 'fast-check'
import { expect, it } from 'vitest'
import { gatewayIn, idIn, numbersIn } from '../../../config/event/event-fields.ts'
import { encodeEvent } from '../../../config/event/sensor-reading.ts'
import { releasedSchemas } from '../../../config/schemas/released.ts'
import { event, tracedEvent } from './events-fixture.ts'
import { newerSchema } from './newer-schema.ts'

it('reads the identifying fields at fixed places, under any schema', () => {
  const property = fc.property(event, fc.constantFrom(...releasedSchemas), (reading, schema) => {
    const { id, gateway, epoch, sequence, zoneSequence } = reading
    const value = encodeEvent(reading, schema)
    expect([idIn(value), gatewayIn(value)]).toEqual([id, gateway])
    expect(numbersIn(value)).toEqual({ epoch, sequence, zoneSequence })
  })
  fc.assert(property)
  const newer = newerSchema.type.toBuffer({ ...tracedEvent, floor: 'up' })
  const { epoch, sequence, zoneSequence } = tracedEvent
  expect(numbersIn(Buffer.concat([Buffer.alloc(10), newer]))).toEqual({
    ...{ epoch, sequence, zoneSequence },
  })
})

it('does not throw on any bytes', () => {
  fc.assert(fc.property(fc.uint8Array(), bytes => void numbersIn(Buffer.from(bytes))))
  expect(numbersIn(Buffer.alloc(0)).sequence).toBe(Number.NaN)
})
