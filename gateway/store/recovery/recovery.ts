import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import {
  DamagedFileError,
  isDamage,
  markDamaged,
  readDamageReason,
  removeDamageMark,
} from '../file/damage-mark.ts'
import {
  finishReplacement,
  nextSetAsideFile,
  rebuildFileOf,
  removeOldSetAsideFiles,
  replaceDamagedFile,
} from '../file/damaged-files.ts'
import {
  ForeignFileError,
  identifyDatabase,
  type Migration,
  prepareDatabase,
} from '../file/schema.ts'

/**
 * A damaged file, and `aside`, the path to which it will be moved. `atMs` is the time of the
 * recovery in ms since 1970.
 */
export type DamagedFile = { file: string; aside: string; reason: string; atMs: number }

/**
 * `file` is where the damaged file is kept, `reason` why it was set aside, and `salvaged` what was
 * salvaged, in counts.
 */
export type RecoveryReport = { file: string; reason: string; salvaged: Record<string, unknown> }

/**
 * How an outbox or an inbox is identified, migrated and recovered. `key` is the configuration key
 * of its path.
 */
export type StoreKind = {
  key: string
  applicationId: number
  migrations: Migration[]
  /**
   * Whether another file beside the file proves that it is of this kind, for a file that SQLite
   * cannot read.
   */
  isKnown(file: string): boolean
  /**
   * Returns why a file must be rebuilt although SQLite may open it; null when there is no reason.
   */
  findFault(file: string): string | null
  /**
   * Fills a new file, inside the open transaction, with everything that can be salvaged from the
   * damaged file. Returns what was salvaged.
   */
  refill(db: Database.Database, damaged: DamagedFile): RecoveryReport['salvaged']
}

/**
 * The offset of the application id in a database file; sqlite.org/fileformat2.html, "The Database
 * Header".
 */
const APPLICATION_ID_OFFSET = 68
/** Error codes of obstacles to opening a file. These codes do not mean that the file is damaged. */
const OBSTACLES = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|PERM|AUTH|NOMEM|NOLFS|INTERRUPT)/

/**
 * Rebuilds a file before it is opened, if the file has a damage mark or `findFault` returns a
 * fault. First finishes an interrupted replacement. Returns null when no rebuild was needed. The
 * caller must have the lock.
 */
export function recoverBeforeOpen(file: string, kind: StoreKind): RecoveryReport | null {
  finishReplacement(file)
  const reason = readDamageReason(file) ?? kind.findFault(file)
  if (reason !== null) return rebuild(file, kind, reason)
  removeDamageMark(file)
  return null
}

/**
 * Rebuilds a file that could not be opened, if the file is of this kind and the error means damage;
 * otherwise throws the error again.
 */
export function recoverAfterFailedOpen(
  file: string,
  kind: StoreKind,
  error: unknown,
): RecoveryReport {
  if (!isOurDamage(file, kind, error)) throw error
  const { message, cause } = error as Error
  return rebuild(file, kind, cause instanceof Error ? cause.message : message)
}

/**
 * Sets a damaged file aside and replaces it by a new file with everything that can be salvaged. The
 * order of the steps makes a power cut at any step harmless: write the damage mark, build the new
 * file under another name, sync it, rename both files, remove the mark.
 */
function rebuild(file: string, kind: StoreKind, reason: string): RecoveryReport {
  refuseForeignFile(file, kind)
  markDamaged(file, reason)
  removeOldSetAsideFiles(file)
  const atMs = Date.now()
  const aside = nextSetAsideFile(file, atMs)
  const damaged = { file, aside: aside.file, reason, atMs }
  const db = new Database(rebuildFileOf(file))
  let salvaged: RecoveryReport['salvaged']
  try {
    prepareDatabase(db, kind.applicationId, kind.migrations)
    // No journal: an unfinished new file is removed at the next start. No sync during the
    // transaction: the complete new file is fsynced once afterwards.
    db.pragma('journal_mode = OFF')
    db.pragma('synchronous = OFF')
    salvaged = db.transaction(() => kind.refill(db, damaged)).immediate()
    db.pragma('journal_mode = WAL')
  } finally {
    db.close()
  }
  replaceDamagedFile(file, aside)
  return { file: aside.file, reason, salvaged }
}

/**
 * Throws a ForeignFileError when the file can be read well enough to know that it is of another
 * kind.
 */
function refuseForeignFile(file: string, { applicationId, migrations }: StoreKind): void {
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, fileMustExist: true })
    identifyDatabase(db, applicationId, migrations)
  } catch (error) {
    if (error instanceof ForeignFileError && !error.cause) throw error
  } finally {
    db?.close()
  }
}

function isOurDamage(file: string, kind: StoreKind, error: unknown): boolean {
  if (error instanceof DamagedFileError) return true
  // A ForeignFileError without a cause means that the file was read and has the tables of another
  // kind. With a cause, nothing could be read.
  if (error instanceof ForeignFileError) return error.cause !== undefined && wasOurs(file, kind)
  if (!(error instanceof Database.SqliteError) || !wasOurs(file, kind)) return false
  const { code } = error
  if (code.startsWith('SQLITE_READONLY')) return isWritableFile(file)
  return !OBSTACLES.test(code) || isDamage(error)
}

function wasOurs(file: string, kind: StoreKind): boolean {
  return applicationIdIn(file) === kind.applicationId || kind.isKnown(file)
}

function applicationIdIn(file: string): number | null {
  const bytes = Buffer.alloc(4)
  try {
    const descriptor = openSync(file, 'r')
    const read = readSync(descriptor, bytes, 0, 4, APPLICATION_ID_OFFSET)
    closeSync(descriptor)
    return read === 4 ? bytes.readInt32BE() : null
  } catch {
    return null
  }
}

/** SQLite also reports a writable file as read-only when a bit in its header is flipped. */
function isWritableFile(file: string): boolean {
  try {
    accessSync(file, constants.W_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
