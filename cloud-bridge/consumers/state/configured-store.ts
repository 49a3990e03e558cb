import { openPostgresStates } from './postgres.ts'
import { openSqliteStates } from './sqlite.ts'
import type { StateStore } from './state.ts'

/** The place of the states: a directory, or a PostgreSQL that several machines share. */
export type StateLocation = { dir: string; postgresUrl: string | null }

/**
 * Opens the storage of states: PostgreSQL if a URL is given, else SQLite files. Nothing is touched
 * before the first state is opened.
 */
export function openStateStore({ dir, postgresUrl }: StateLocation): StateStore {
  return postgresUrl === null ? openSqliteStates(dir) : openPostgresStates(postgresUrl)
}
