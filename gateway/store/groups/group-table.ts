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

/** What a query selects to get a `GroupHead`. SQLite reads no body for its length. */
export const GROUP_HEAD_COLUMNS = [
  ...GROUP_COLUMNS.filter(column => column !== 'body'),
  'length(body) AS bodyBytes',
].join(', ')

const PARAMETERS = GROUP_COLUMNS.map(column => `@${column}`).join(', ')

/** A statement that inserts a row as it is; it throws when a row has the same sequence. */
export function prepareGroupInsert(db: Database) {
  return db.prepare<GroupRow>(`INSERT INTO groups VALUES (${PARAMETERS})`)
}

/** A statement that inserts a row as it is, in place of a row with the same sequence. */
export function prepareGroupReplace(db: Database) {
  return db.prepare<GroupRow>(`INSERT OR REPLACE INTO groups VALUES (${PARAMETERS})`)
}
