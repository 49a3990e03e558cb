import BetterSqlite3, { type Database } from 'better-sqlite3'
import { DamagedFileError } from './damage-mark.ts'
import { addRangeKindColumns } from './range-kind-migration.ts'

/** The `PRAGMA application_id` of our files: "SlOb" and "SlIb". */
export const OUTBOX_APPLICATION_ID = 0x536c4f62
export const INBOX_APPLICATION_ID = 0x536c4962

/** The outbox's migrations: index 0 brings a new file to version 1. Forward only. */
export const outboxMigrations = [
  `CREATE TABLE store (
     id      BLOB NOT NULL,
     gateway TEXT NOT NULL,
     created INTEGER NOT NULL,
     epoch   INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE groups (
     sequence     INTEGER PRIMARY KEY,
     count        INTEGER NOT NULL,
     lane         TEXT NOT NULL,
     epoch        INTEGER NOT NULL,
     receivedFrom INTEGER NOT NULL,
     receivedTo   INTEGER NOT NULL,
     version      INTEGER NOT NULL,
     schema       BLOB NOT NULL,
     bytesSoFar   INTEGER NOT NULL,
     header       BLOB NOT NULL,
     headerCrc    INTEGER NOT NULL,
     bodyCrc      INTEGER NOT NULL,
     body         BLOB NOT NULL
   ) STRICT;
   CREATE TABLE notes (
     sequence INTEGER PRIMARY KEY,
     kind     TEXT NOT NULL,
     at       INTEGER NOT NULL,
     crc      INTEGER NOT NULL,
     body     BLOB NOT NULL
   ) STRICT;
   CREATE TABLE heads (
     epoch        INTEGER NOT NULL,
     zone         TEXT NOT NULL,
     zoneSequence INTEGER NOT NULL,
     PRIMARY KEY (epoch, zone)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE headsUpTo (sequence INTEGER NOT NULL) STRICT;
   INSERT INTO headsUpTo VALUES (0);
   CREATE TABLE incoming (
     client TEXT NOT NULL,
     packet INTEGER NOT NULL,
     hash   BLOB NOT NULL,
     PRIMARY KEY (client, packet)
   ) STRICT, WITHOUT ROWID;`,
  `CREATE TABLE thinned (
     sequence INTEGER PRIMARY KEY,
     events   INTEGER NOT NULL,
     bytes    INTEGER NOT NULL
   ) STRICT;`,
]

/** SQL, or a function for what SQL cannot do; runs in one transaction. */
export type Migration = string | ((db: Database) => void)

/** Runs a migration inside the open transaction. */
export function runMigration(db: Database, migration: Migration): void {
  if (typeof migration === 'string') db.exec(migration)
  else migration(db)
}

/** The inbox's migrations, as `outboxMigrations`. */
export const inboxMigrations: Migration[] = [
  `CREATE TABLE ranges (
     id         INTEGER PRIMARY KEY,
     store      BLOB NOT NULL,
     next       INTEGER NOT NULL,
     "end"      INTEGER,
     topic      TEXT NOT NULL,
     partitions INTEGER NOT NULL,
     zones      TEXT,
     reason     TEXT NOT NULL
   ) STRICT;
   CREATE TABLE notePositions (
     store BLOB PRIMARY KEY,
     next  INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE store (id BLOB NOT NULL) STRICT;
   CREATE TABLE notes (
     sequence INTEGER PRIMARY KEY,
     kind     TEXT NOT NULL,
     at       INTEGER NOT NULL,
     crc      INTEGER NOT NULL,
     body     BLOB NOT NULL
   ) STRICT;`,
  // The next write of positions sets the checksum.
  'CREATE TABLE seal (crc INTEGER NOT NULL) STRICT; INSERT INTO seal VALUES (-1);',
  `CREATE TABLE schemaIds (
     registry    TEXT NOT NULL,
     subject     TEXT NOT NULL,
     fingerprint BLOB NOT NULL,
     id          INTEGER NOT NULL,
     crc         INTEGER NOT NULL,
     PRIMARY KEY (registry, subject, fingerprint)
   ) STRICT, WITHOUT ROWID;`,
  addRangeKindColumns,
]

/** A file is not a store of ours, or of a newer program: it must stay untouched. */
export class ForeignFileError extends Error {}

/**
 * Sets the pragmas of a writing connection and reads them back, because SQLite and its binding
 * have other defaults: WAL, `synchronous=FULL`, incremental vacuum. Then brings the file to the
 * newest version, one transaction for each migration. Throws ForeignFileError, which names the
 * file, when the file is not ours or is newer than this program, and DamagedFileError when the file
 * is ours and damaged.
 */
export function prepareDatabase(
  db: Database,
  applicationId: number,
  migrations: Migration[],
): void {
  const { version, tables } = identifyDatabase(db, applicationId, migrations)
  if (version === 0 && tables === 0) db.pragma('auto_vacuum = INCREMENTAL')
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma('busy_timeout = 5000')
  // Both processes mostly append and read the newest rows; the binding's default of 16 MB is waste.
  db.pragma('cache_size = -1000')
  for (let next = version; next < migrations.length; next++) {
    db.transaction(() => {
      runMigration(db, migrations[next]!)
      db.pragma(`application_id = ${applicationId}`)
      db.pragma(`user_version = ${next + 1}`)
    }).immediate()
  }
  const actual = ['journal_mode', 'synchronous', 'auto_vacuum'].map(name =>
    db.pragma(name, { simple: true }),
  )
  if (actual.join() !== 'wal,2,2') {
    throw new DamagedFileError(
      `${db.name}: journal_mode, synchronous, auto_vacuum are ${actual}, not wal,2,2`,
    )
  }
}

/**
 * Reads a file's version and the number of its tables; does not change the file. Throws
 * ForeignFileError and DamagedFileError as `prepareDatabase` does: a file of ours with a damaged
 * application_id or user_version has our tables, a foreign file has others.
 */
export function identifyDatabase(db: Database, applicationId: number, migrations: Migration[]) {
  const { version, owner, tables } = readMarks(db)
  if (owner === applicationId && version === migrations.length) return { version, tables }
  if (version === 0 && owner === 0 && tables === 0) return { version, tables }
  const known = versionByTables(db, migrations)
  if (known > 0 && (owner !== applicationId || version < known || isFlipped(version, known))) {
    throw new DamagedFileError(
      `${db.name}: application_id ${owner} and user_version ${version} are damaged`,
    )
  }
  if (owner !== applicationId) throw foreignFile(db)
  if (version > migrations.length) {
    throw new ForeignFileError(
      `${db.name} has format ${version}, newer than this program's ${migrations.length}`,
    )
  }
  return { version, tables }
}

/**
 * Whether `version` differs from `known` in one bit, at 16 or above: versions that high will not
 * exist for long. A difference in a lower bit may be a newer program's version.
 */
function isFlipped(version: number, known: number): boolean {
  const difference = (version ^ known) >>> 0
  return difference >= 16 && (difference & (difference - 1)) === 0
}

/** The marks and the number of tables of a file. */
function readMarks(db: Database) {
  try {
    return {
      version: db.pragma('user_version', { simple: true }) as number,
      owner: db.pragma('application_id', { simple: true }) as number,
      tables: db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number,
    }
  } catch (error) {
    throw (error as { code?: string }).code === 'SQLITE_NOTADB' ? foreignFile(db, error) : error
  }
}

/** The version that has exactly the file's tables; 0 for none. */
function versionByTables(db: Database, migrations: Migration[]): number {
  const actual = tablesOf(db)
  const model = new BetterSqlite3(':memory:')
  try {
    const isVersion = (migration: Migration) => {
      runMigration(model, migration)
      return tablesOf(model) === actual
    }
    return migrations.findIndex(isVersion) + 1
  } finally {
    model.close()
  }
}

function tablesOf(db: Database): string {
  return db.prepare('SELECT sql FROM sqlite_schema ORDER BY name').pluck().all().join(';')
}

function foreignFile({ name }: Database, cause?: unknown): ForeignFileError {
  const message = `${name} is not a file of this kind; it stays untouched. Name another path`
  return new ForeignFileError(message, { cause })
}
