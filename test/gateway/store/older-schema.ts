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
 * Makes the groups of a closed outbox those of a program to which `schema` was the newest. Gives
 * how many events they have.
 */
export function writeUnder(schema: ReleasedSchema, file: string): number {
  const db = new Database(file)
  const rows = db.prepare('SELECT * FROM groups ORDER BY sequence').all() as GroupRow[]
  const replace = prepareGroupReplace(db)
  let bytesSoFar = 0
  for (const row of rows) {
    const zones = readHeader(row)
    const events = unpackGroup(row)
    if ('reason' in zones || 'reason' in events) throw new Error('a group is not whole')
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
