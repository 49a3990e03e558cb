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
import { ForeignFileError, identifyDatabase, prepareDatabase } from '../file/schema.ts'

/** A file that cannot be trusted any more: where it lies, and where it will be kept. */
export type DamagedFile = { file: string; aside: string; reason: string; atMs: number }

/** Where the damaged file is kept, why it was moved aside, and what could be read in it. */
export type RecoveryReport = { file: string; reason: string; salvaged: Record<string, unknown> }

/** Which of the two files: its configuration key, its mark, its migrations, and how it heals. */
export type StoreKind = {
  key: string
  applicationId: number
  migrations: string[]
  /** Whether something beside a file that SQLite cannot read says that it was one of ours. */
  isKnown(file: string): boolean
  /** Why a file must be made anew although it may open; null when nothing is wrong with it. */
  faultOf(file: string): string | null
  /** Fills a new file, inside the open transaction, with what can be read in the damaged one. */
  refill(db: Database.Database, wreck: DamagedFile): RecoveryReport['salvaged']
}

/** Where an application's mark stands; sqlite.org/fileformat2.html, "The Database Header". */
const APPLICATION_ID_AT = 68
/** What says that something is in the way, not that the file is damaged. */
const IN_THE_WAY = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|PERM|AUTH|NOMEM|NOLFS|INTERRUPT)/

/**
 * Makes a file anew before it is opened, if its mark or its own state asks for it; finishes first
 * what was cut short. Null when there was no reason. The caller holds the lock.
 */
export function recoverBeforeOpen(file: string, kind: StoreKind): RecoveryReport | null {
  finishReplacement(file)
  const reason = readDamageReason(file) ?? kind.faultOf(file)
  if (reason !== null) return heal(file, kind, reason)
  removeDamageMark(file)
  return null
}

/**
 * Makes a file anew that could not be opened, when that is because it is damaged and it was ours
 * once; throws the error again when it is not so.
 */
export function recoverAfterFailedOpen(
  file: string,
  kind: StoreKind,
  error: unknown,
): RecoveryReport {
  if (!isCurable(file, kind, error)) throw error
  const { message, cause } = error as Error
  return heal(file, kind, cause instanceof Error ? cause.message : message)
}

/**
 * Moves a damaged file aside and puts a new one in its place with everything that can still be
 * read. Its order lets power go at any step: the mark first, a new file under another name, on
 * disk, the exchange, the mark taken away.
 */
function heal(file: string, kind: StoreKind, reason: string): RecoveryReport {
  refuseOthers(file, kind)
  markDamaged(file, reason)
  removeOldSetAsideFiles(file)
  const atMs = Date.now()
  const aside = nextSetAsideFile(file, atMs)
  const wreck = { file, aside: aside.file, reason, atMs }
  const db = new Database(rebuildFileOf(file))
  let found: RecoveryReport['salvaged']
  try {
    prepareDatabase(db, kind.applicationId, kind.migrations)
    // Unless it is finished it is thrown away, so it needs no journal; it is synced at the end.
    db.pragma('journal_mode = OFF')
    db.pragma('synchronous = OFF')
    found = db.transaction(() => kind.refill(db, wreck)).immediate()
    db.pragma('journal_mode = WAL')
  } finally {
    db.close()
  }
  replaceDamagedFile(file, aside)
  return { file: aside.file, reason, salvaged: found }
}

/** Throws NotOurs when a file can be read well enough to say that it is none of ours. */
function refuseOthers(file: string, { applicationId, migrations }: StoreKind): void {
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

function isCurable(file: string, kind: StoreKind, error: unknown): boolean {
  if (error instanceof DamagedFileError) return true
  // Without a cause its tables say that it is somebody else's; with one, nothing could be read.
  if (error instanceof ForeignFileError) return error.cause !== undefined && wasOurs(file, kind)
  if (!(error instanceof Database.SqliteError) || !wasOurs(file, kind)) return false
  const { code } = error
  if (code.startsWith('SQLITE_READONLY')) return mayWrite(file)
  return !IN_THE_WAY.test(code) || isDamage(error)
}

function wasOurs(file: string, kind: StoreKind): boolean {
  return applicationIdIn(file) === kind.applicationId || kind.isKnown(file)
}

function applicationIdIn(file: string): number | null {
  const bytes = Buffer.alloc(4)
  try {
    const descriptor = openSync(file, 'r')
    const read = readSync(descriptor, bytes, 0, 4, APPLICATION_ID_AT)
    closeSync(descriptor)
    return read === 4 ? bytes.readInt32BE() : null
  } catch {
    return null
  }
}

/** SQLite calls a file read-only as well when its header says so, by a flipped bit. */
function mayWrite(file: string): boolean {
  try {
    accessSync(file, constants.W_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
