import BetterSqlite3, { type Database } from 'better-sqlite3'
import { DamagedFileError } from './damage-mark.ts'
import { addRangeKindColumns } from './range-kind-migration.ts'

/** The `PRAGMA application_id` of an outbox ("SlOb") and of an inbox ("SlIb"). */
export const OUTBOX_APPLICATION_ID = 0x536c4f62
export const INBOX_APPLICATION_ID = 0x536c4962

/** An application id as `0x536c4f62`. SQLite returns ids above 2^31 as negative numbers. */
export const hexId = (id: number) => `0x${(id >>> 0).toString(16).padStart(8, '0')}`

/**
 * The outbox's migrations. The migration at index 0 migrates a new file to version 1, and so on.
 * There are no migrations to older versions.
 */
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
  // 0 is a time that is not known; see qos2-unreleased.ts.
  'ALTER TABLE incoming ADD COLUMN at INTEGER NOT NULL DEFAULT 0;',
]

/**
 * One step to the next version: SQL, or a function for a step that SQL cannot do. Each migration
 * runs in one transaction.
 */
export type Migration = string | ((db: Database) => void)

/** Runs a migration inside the open transaction. */
export function runMigration(db: Database, migration: Migration): void {
  if (typeof migration === 'string') db.exec(migration)
  else migration(db)
}

/** The inbox's migrations, in the same form as `outboxMigrations`. */
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

/** A file is not an outbox or inbox, or a newer program wrote it. The file must not be changed. */
export class ForeignFileError extends Error {
  /** What the file is, without its name: `is of another kind`. */
  readonly reason: string
  readonly cure: string
  constructor(file: string, reason: string, cure: string, options?: ErrorOptions) {
    super(`${file} ${reason}`, options)
    this.reason = reason
    this.cure = cure
  }
}

/**
 * Sets the pragmas of a writing connection (WAL, `synchronous=FULL`, incremental vacuum), which are
 * not the defaults of SQLite and its binding, and verifies them. Migrates the file to the newest
 * version, one transaction for each migration. Throws ForeignFileError, which names the file, when
 * the file has another application id or is newer than this program. Throws DamagedFileError when
 * the file is damaged.
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
  // 1 MB is enough, because both processes mostly append and read the newest rows. The binding's
  // default is 16 MB.
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
 * ForeignFileError and DamagedFileError as `prepareDatabase` does. An outbox or inbox with a
 * damaged application_id or user_version is recognized by its tables; a foreign file has other
 * tables.
 */
export function identifyDatabase(db: Database, applicationId: number, migrations: Migration[]) {
  const { version, owner, tables } = readMarks(db)
  if (owner === applicationId && version === migrations.length) return { version, tables }
  if (version === 0 && owner === 0 && tables === 0) return { version, tables }
  const known = versionByTables(db, migrations)
  if (known > 0 && (owner !== applicationId || version < known || isFlipped(version, known))) {
    throw new DamagedFileError(
      `${db.name}: application_id is ${hexId(owner)}, expected ${hexId(applicationId)}; ` +
        `user_version is ${version}, and its tables are those of version ${known}: ` +
        'the file is damaged',
    )
  }
  if (owner !== applicationId) throw foreignFile(db)
  if (version > migrations.length) {
    throw new ForeignFileError(
      db.name,
      `has format ${version}, newer than this program's ${migrations.length}`,
      'Run the newer program, or name another path',
    )
  }
  return { version, tables }
}

/**
 * Whether one flipped bit may have made `version` from `known`. Only the bits of value 16 and above
 * are considered. A difference in a lower bit may be the version of a newer program, while versions
 * of 16 and above will not exist for a long time.
 */
function isFlipped(version: number, known: number): boolean {
  const difference = (version ^ known) >>> 0
  return difference >= 16 && (difference & (difference - 1)) === 0
}

/** Reads the version, the application id and the number of tables of a file. */
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

/**
 * Returns the version whose tables are exactly the file's tables; 0 when no version has these
 * tables.
 */
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
  return new ForeignFileError(name, 'is of another kind', 'Name another path', { cause })
}
