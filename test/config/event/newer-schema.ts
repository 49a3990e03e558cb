import avro from 'avsc'
import { newestSchema, type ReleasedSchema } from '../../../config/schemas/released.ts'

const schema = JSON.parse(newestSchema.text)
schema.fields.splice(-1, 0, { name: 'floor', type: ['null', 'string'], default: null })

/** A schema of a future version, which this version does not know: events have a field `floor`. */
export const newerSchema: ReleasedSchema = {
  ...newestSchema,
  version: newestSchema.version + 1,
  text: JSON.stringify(schema),
  fingerprint: Buffer.from('is newer'),
  type: avro.Type.forSchema(schema),
}
