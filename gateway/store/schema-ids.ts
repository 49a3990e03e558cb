import { existsSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import { checksum } from './file/checksum.ts'
import { readRows } from './file/readonly-database.ts'

/** Under which name a registry keeps the schema with this fingerprint (CRC-64-AVRO). */
export type SchemaKey = { registry: string; subject: string; fingerprint: Buffer }

type Row = SchemaKey & { id: number; crc: number }

const SELECT = 'SELECT * FROM schemaIds WHERE registry = ? AND subject = ? AND fingerprint = ?'

/**
 * The numbers that registries gave to schemas, so that events can be written while they are away. A
 * wrong one would make events unreadable: a row with another checksum counts for nothing, and the
 * registry is asked again.
 */
export function createSchemaIds(db: Database) {
  const select = db.prepare(SELECT)
  const insert = insertRow(db)
  return {
    /** The number that was kept, or null. */
    schemaId({ registry, subject, fingerprint }: SchemaKey): number | null {
      const row = select.get(registry, subject, fingerprint) as Row | undefined
      return row && isWhole(row) ? row.id : null
    },
    /** Keeps a number durably, in the place of one that was kept before. */
    keepSchemaId(name: SchemaKey, id: number): void {
      insert.run({ ...name, id, crc: crcOf({ ...name, id }) })
    },
  }
}

/** The number that is kept in an inbox that others may write, or null. */
export function readSchemaId(file: string, { registry, subject, fingerprint }: SchemaKey) {
  if (!existsSync(file)) return null
  const row = readRows<Row>(file, SELECT, registry, subject, fingerprint)[0]
  return row && isWhole(row) ? row.id : null
}

/** Takes over what is whole of a file that may be damaged; gives how many. */
export function copySchemaIds(db: Database, file: string): number {
  const whole = readRows<Row>(file, 'SELECT * FROM schemaIds').filter(isWhole)
  const insert = insertRow(db)
  for (const row of whole) insert.run(row)
  return whole.length
}

function insertRow(db: Database) {
  return db.prepare<Row>(
    'INSERT OR REPLACE INTO schemaIds VALUES (@registry, @subject, @fingerprint, @id, @crc)',
  )
}

const isWhole = (row: Row) => row.crc === crcOf(row)

function crcOf({ registry, subject, fingerprint, id }: Omit<Row, 'crc'>): number {
  return checksum(JSON.stringify([registry, subject, id]), fingerprint)
}
