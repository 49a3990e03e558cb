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

/** A damaged file, and the path under which it will be kept; `atMs` is ms since 1970. */
export type DamagedFile = { file: string; aside: string; reason: string; atMs: number }

/** Where the damaged file is kept, why it was set aside, and what was salvaged, in counts. */
export type RecoveryReport = { file: string; reason: string; salvaged: Record<string, unknown> }

/** How one of our two files is identified, migrated and recovered; `key`: its configuration key. */
export type StoreKind = {
  key: string
  applicationId: number
  migrations: Migration[]
  /** Whether something beside the file proves that it was ours, when SQLite cannot read it. */
  isKnown(file: string): boolean
  /** Why a file must be rebuilt although SQLite may open it; null when there is no reason. */
  findFault(file: string): string | null
  /** Fills a new file, inside the open transaction, with what can be salvaged. */
  refill(db: Database.Database, damaged: DamagedFile): RecoveryReport['salvaged']
}

/** The offset of the application id; sqlite.org/fileformat2.html, "The Database Header". */
const APPLICATION_ID_OFFSET = 68
/** Error codes of an obstacle, which say nothing about damage. */
const OBSTACLES = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|PERM|AUTH|NOMEM|NOLFS|INTERRUPT)/

/**
 * Rebuilds a file before it is opened, if its damage mark or its own state asks for that. Finishes
 * an interrupted replacement first. Null when no rebuild was needed. The caller holds the lock.
 */
export function recoverBeforeOpen(file: string, kind: StoreKind): RecoveryReport | null {
  finishReplacement(file)
  const reason = readDamageReason(file) ?? kind.findFault(file)
  if (reason !== null) return rebuild(file, kind, reason)
  removeDamageMark(file)
  return null
}

/**
 * Rebuilds a file that could not be opened, if the file is ours and the error means damage;
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
 * Sets a damaged file aside and replaces it by a new file with everything that can be salvaged. A
 * power cut at any step is harmless by their order: write the damage mark, build the new file under
 * another name, sync, exchange the names, remove the mark.
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
    // An unfinished file is thrown away, so it needs no journal. It is synced at the end.
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

/** Throws a ForeignFileError when the file can be read well enough to say that it is not ours. */
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
  // Without a cause the tables prove a foreign file; with a cause nothing could be read.
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
