import type { Database } from 'better-sqlite3'
import type { GroupRow } from './group-codec.ts'

/** All columns of the table `groups`, in the table's order. */
export const GROUP_COLUMNS = [
  'sequence',
  'count',
  'lane',
  'epoch',
  'receivedFrom',
  'receivedTo',
  'version',
  'schema',
  'bytesSoFar',
  'header',
  'headerCrc',
  'bodyCrc',
  'body',
] as const satisfies (keyof GroupRow)[]

/** A row of the table `groups` without its body, but with the body's length in bytes. */
export type GroupHead = Omit<GroupRow, 'body'> & { bodyBytes: number }

/**
 * The columns that a query selects to get a `GroupHead`. SQLite does not read a body to get its
 * length.
 */
export const GROUP_HEAD_COLUMNS = [
  ...GROUP_COLUMNS.filter(column => column !== 'body'),
  'length(body) AS bodyBytes',
].join(', ')

const PARAMETERS = GROUP_COLUMNS.map(column => `@${column}`).join(', ')

/**
 * Prepares the statement that inserts a row unchanged. The statement throws when a row with the
 * same sequence exists.
 */
export function prepareGroupInsert(db: Database) {
  return db.prepare<GroupRow>(`INSERT INTO groups VALUES (${PARAMETERS})`)
}

/**
 * Prepares the statement that inserts a row unchanged, and replaces a row with the same sequence.
 */
export function prepareGroupReplace(db: Database) {
  return db.prepare<GroupRow>(`INSERT OR REPLACE INTO groups VALUES (${PARAMETERS})`)
}
