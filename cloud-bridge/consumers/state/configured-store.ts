import { openPostgresStates } from './postgres.ts'
import { openSqliteStates } from './sqlite.ts'
import type { StateStore } from './state.ts'

/** Where states are kept: in a directory, or in a PostgreSQL that several machines share. */
export type StateLocation = { dir: string; postgresUrl: string | null }

/**
 * Opens what states are kept in: PostgreSQL where its URL is given, else SQLite files. Neither is
 * touched before a state is opened.
 */
export function openStateStore({ dir, postgresUrl }: StateLocation): StateStore {
  return postgresUrl === null ? openSqliteStates(dir) : openPostgresStates(postgresUrl)
}
