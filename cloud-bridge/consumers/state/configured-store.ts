import { openPostgresStates } from './postgres.ts'
import { openSqliteStates } from './sqlite.ts'
import type { StateStore } from './state.ts'

/** Where the states are stored: in a directory, or in a PostgreSQL that several machines share. */
export type StateLocation = { dir: string; postgresUrl: string | null }

/**
 * Opens the storage of states: PostgreSQL if a URL is given, else SQLite files. Reads and writes
 * nothing before the first state is opened.
 */
export function openStateStore({ dir, postgresUrl }: StateLocation): StateStore {
  return postgresUrl === null ? openSqliteStates(dir) : openPostgresStates(postgresUrl)
}
