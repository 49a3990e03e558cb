import { existsSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import { checksum } from './file/checksum.ts'
import { readRows } from './file/readonly-database.ts'

/** Names a schema in a registry: the registry's address, subject and CRC-64-AVRO fingerprint. */
export type SchemaKey = { registry: string; subject: string; fingerprint: Buffer }

type Row = SchemaKey & { id: number; crc: number }

const SELECT = 'SELECT * FROM schemaIds WHERE registry = ? AND subject = ? AND fingerprint = ?'

/**
 * Stores the ids that registries gave to schemas, so that events can be framed while a registry is
 * unreachable. A wrong id would make events unreadable. So a row whose checksum differs is ignored,
 * and the caller requests the id from the registry.
 */
export function createSchemaIds(db: Database) {
  const select = db.prepare(SELECT)
  const insert = prepareInsert(db)
  return {
    /** The stored id of a schema, or null. */
    schemaId({ registry, subject, fingerprint }: SchemaKey): number | null {
      const row = select.get(registry, subject, fingerprint) as Row | undefined
      return row && isIntact(row) ? row.id : null
    },
    /** Stores an id durably; replaces the id that was stored before. */
    keepSchemaId(key: SchemaKey, id: number): void {
      insert.run({ ...key, id, crc: crcOf({ ...key, id }) })
    },
  }
}

/**
 * Returns the stored id of a schema, or null. Reads the inbox read-only, because another process
 * may write the file.
 */
export function readSchemaId(file: string, { registry, subject, fingerprint }: SchemaKey) {
  if (!existsSync(file)) return null
  const row = readRows<Row>(file, SELECT, registry, subject, fingerprint)[0]
  return row && isIntact(row) ? row.id : null
}

/** Copies the intact schema ids of an inbox that may be damaged; returns how many were copied. */
export function copySchemaIds(db: Database, file: string): number {
  const intact = readRows<Row>(file, 'SELECT * FROM schemaIds').filter(isIntact)
  const insert = prepareInsert(db)
  for (const row of intact) insert.run(row)
  return intact.length
}

function prepareInsert(db: Database) {
  return db.prepare<Row>(
    'INSERT OR REPLACE INTO schemaIds VALUES (@registry, @subject, @fingerprint, @id, @crc)',
  )
}

const isIntact = (row: Row) => row.crc === crcOf(row)

function crcOf({ registry, subject, fingerprint, id }: Omit<Row, 'crc'>): number {
  return checksum(JSON.stringify([registry, subject, id]), fingerprint)
}
