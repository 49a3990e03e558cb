import Database from 'better-sqlite3'
import { createIdentityCheck, databaseFiles } from '../../../gateway/store/file/file-identity.ts'
import { StateUnavailable } from './state.ts'

/** "SlCs": identifies a state file of Sluice. */
const APPLICATION_ID = 0x536c4373
const FORMAT = 1
/**
 * Waiting for a lock blocks all work of the member, so the wait is short. Then the member retries
 * with back-off.
 */
const BUSY_MS = 1000
const PAGE_CACHE_KIB = 8192
/** The write-ahead log is checkpointed at this number of pages. */
const CHECKPOINT_PAGES = 4000

/** An open state file. */
export type StateFile = ReturnType<typeof openDatabase>

/**
 * Opens a state file. A new file gets the given tables. Throws for a file that is not a state.
 * `checkFiles` throws ReplacedFileError when the open file is no longer at its path; call it after
 * each commit, because a commit to a deleted file is lost.
 */
export function openDatabase(file: string, tables: string) {
  const database = new Database(file, { timeout: BUSY_MS })
  try {
    database.transaction(() => initialize(database, tables)).immediate()
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
    database.pragma(`cache_size = -${PAGE_CACHE_KIB}`)
    database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
    return { database, checkFiles: createIdentityCheck(databaseFiles(file)) }
  } catch (error) {
    database.close()
    if (!(error instanceof ForeignFile) && !isDamage(error)) throw error
    throw new Error(
      `${file} is not a state of this program (${(error as Error).message}): move the file away, ` +
        'and the state is rebuilt from Kafka',
      { cause: error },
    )
  }
}

class ForeignFile extends Error {}

function initialize(database: Database.Database, tables: string): void {
  const id = database.pragma('application_id', { simple: true })
  const format = database.pragma('user_version', { simple: true })
  if (id === APPLICATION_ID && format === FORMAT) return
  const count = database.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck()
  if (id !== 0 || format !== 0 || count.get() !== 0)
    throw new ForeignFile(`application_id ${id}, user_version ${format}`)
  database.pragma(`application_id = ${APPLICATION_ID}`)
  database.pragma(`user_version = ${FORMAT}`)
  database.exec(tables)
}

/** How often members took ownership of a partition. */
export function generationOf(database: Database.Database): number {
  return database.prepare<[], number>('SELECT generation FROM owner').pluck().get()!
}

/**
 * Runs `work`. Rejects with StateUnavailable for a fault that can pass, such as a full disk or a
 * locked file.
 */
export async function withStateErrors<T>(work: () => T): Promise<T> {
  try {
    return work()
  } catch (error) {
    const code = codeOf(error)
    if (!/^(SQLITE_(FULL|BUSY|IOERR|CANTOPEN|LOCKED)|ENOSPC|EIO|EMFILE)/.test(code)) throw error
    const reason = `${(error as Error).message} (${code})`
    const message = `the state in consumers.dir cannot be used: ${reason}`
    throw new StateUnavailable(message, { cause: error })
  }
}

const isDamage = (error: unknown) => /^SQLITE_(NOTADB|CORRUPT)/.test(codeOf(error))
const codeOf = (error: unknown) => (error as { code?: string }).code ?? ''
