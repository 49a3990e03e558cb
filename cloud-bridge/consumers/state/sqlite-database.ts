import Database from 'better-sqlite3'
import { StateUnavailable } from './state.ts'

/** "SlCs": a state of ours. */
const APPLICATION_ID = 0x536c4373
const FORMAT = 1
/** Waiting for a lock holds up the whole member, so the rest of it is left to its patience. */
const BUSY_MS = 1000
const PAGE_CACHE_KIB = 8192
/** The write-ahead log is brought into the file when it has so many pages. */
const CHECKPOINT_PAGES = 4000

/** Opens a file of a state, with these tables when it is new. Throws when it is none of ours. */
export function openDatabase(file: string, tables: string): Database.Database {
  const database = new Database(file, { timeout: BUSY_MS })
  try {
    database.transaction(() => recognize(database, tables)).immediate()
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
    database.pragma(`cache_size = -${PAGE_CACHE_KIB}`)
    database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
    return database
  } catch (error) {
    database.close()
    if (!(error instanceof NotOurs) && !isDamage(error)) throw error
    throw new Error(
      `${file} is not a state of this program (${(error as Error).message}): move it away, and the ` +
        'state is built anew from Kafka',
      { cause: error },
    )
  }
}

class NotOurs extends Error {}

function recognize(database: Database.Database, tables: string): void {
  const id = database.pragma('application_id', { simple: true })
  const format = database.pragma('user_version', { simple: true })
  if (id === APPLICATION_ID && format === FORMAT) return
  const count = database.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck()
  if (id !== 0 || format !== 0 || count.get() !== 0) throw new NotOurs(`id ${id}, format ${format}`)
  database.pragma(`application_id = ${APPLICATION_ID}`)
  database.pragma(`user_version = ${FORMAT}`)
  database.exec(tables)
}

/** How often a partition was claimed. */
export function generationOf(database: Database.Database): number {
  return database.prepare<[], number>('SELECT generation FROM owner').pluck().get()!
}

/** Rejects with StateAway for a full disk or a locked file, which pass; the rest is for others. */
export async function withStateErrors<T>(work: () => T): Promise<T> {
  try {
    return work()
  } catch (error) {
    const code = codeOf(error)
    if (!/^(SQLITE_(FULL|BUSY|IOERR|CANTOPEN|LOCKED)|ENOSPC|EIO|EMFILE)/.test(code)) throw error
    throw new StateUnavailable(`the state cannot be reached: ${code}`, { cause: error })
  }
}

const isDamage = (error: unknown) => /^SQLITE_(NOTADB|CORRUPT)/.test(codeOf(error))
const codeOf = (error: unknown) => (error as { code?: string }).code ?? ''
