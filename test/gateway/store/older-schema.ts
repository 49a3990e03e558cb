import Database from 'better-sqlite3'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import type { ReleasedSchema } from '../../../config/schemas/released.ts'
import {
  type GroupRow,
  packGroup,
  readHeader,
  unpackGroup,
} from '../../../gateway/store/groups/group-codec.ts'
import { prepareGroupReplace } from '../../../gateway/store/groups/group-table.ts'

const marker = Buffer.of(0xc3, 0x01)

/**
 * Rewrites the groups of a closed outbox as a program would write them whose newest schema is
 * `schema`. Returns the number of events.
 */
export function writeUnder(schema: ReleasedSchema, file: string): number {
  const db = new Database(file)
  const rows = db.prepare('SELECT * FROM groups ORDER BY sequence').all() as GroupRow[]
  const replace = prepareGroupReplace(db)
  let bytesSoFar = 0
  for (const row of rows) {
    const zones = readHeader(row)
    const events = unpackGroup(row)
    if ('reason' in zones || 'reason' in events) throw new Error('a group is damaged')
    const zoneOf = events.map(event => zones.findIndex(({ zone }) => zone === event.zone))
    const values = events.map(({ value }) =>
      Buffer.concat([marker, schema.fingerprint, schema.type.toBuffer(decodeEvent(value))]),
    )
    const lengths = values.map(({ length }) => length)
    const facts = { ...row, schema: schema.fingerprint }
    const old = packGroup(facts, zones, zoneOf, lengths, Buffer.concat(values), bytesSoFar)
    replace.run(old)
    bytesSoFar = old.bytesSoFar
  }
  db.close()
  return rows.reduce((sum, { count }) => sum + count, 0)
}
