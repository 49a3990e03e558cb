import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import {
  type Changes,
  type ConsumerState,
  Fenced,
  type PartitionState,
  type Row,
  type Span,
  StateAway,
  type StateStore,
  type WaitingEffect,
} from './state.ts'

/** "SlCs": a state of ours. */
const APPLICATION_ID = 0x536c4373
const FORMAT = 1
const BUSY_MS = 5000
const PAGE_CACHE_KIB = 8192
/** The write-ahead log is brought into the file when it has so many pages. */
const CHECKPOINT_PAGES = 4000

/**
 * States in a directory, one SQLite file a partition, so that members of one machine write side by
 * side. A commit is whole, and lost with the power at most together with the offset that it moved:
 * then it is read from Kafka again.
 */
export function openSqliteStates(dir: string): StateStore {
  const opened: Disposable[] = []
  const versionsOf = (consumer: string) => {
    const versions = openVersions(join(dir, consumer))
    opened.push(versions)
    return versions
  }
  return {
    async open(consumer) {
      const versions = versionsOf(consumer)
      return stateOf(join(dir, consumer), versions, versions.current())
    },
    async build(consumer) {
      const versions = versionsOf(consumer)
      const number = versions.begin()
      rmSync(folderOf(join(dir, consumer), number), { recursive: true, force: true })
      return stateOf(join(dir, consumer), versions, number)
    },
    async makeCurrent(consumer, version) {
      versionsOf(consumer).makeCurrent(version)
    },
    async [Symbol.asyncDispose]() {
      for (const one of opened.splice(0)) one[Symbol.dispose]()
    },
  }
}

const folderOf = (dir: string, version: number) => join(dir, `v${version}`)

type Versions = ReturnType<typeof openVersions>

/** Which version of a consumer's state is current. */
function openVersions(dir: string) {
  mkdirSync(dir, { recursive: true })
  const database = openDatabase(
    join(dir, 'versions.db'),
    `CREATE TABLE current (number INTEGER NOT NULL) STRICT;
     INSERT INTO current VALUES (1);
     CREATE TABLE newest (number INTEGER NOT NULL) STRICT;
     INSERT INTO newest VALUES (1);`,
  )
  const current = database.prepare<[], number>('SELECT number FROM current').pluck()
  const newest = database
    .prepare<[], number>('UPDATE newest SET number = number + 1 RETURNING number')
    .pluck()
  return {
    current: () => current.get()!,
    begin: () => newest.get()!,
    makeCurrent: (number: number) => database.prepare('UPDATE current SET number = ?').run(number),
    [Symbol.dispose]: () => database.close(),
  }
}

function stateOf(dir: string, versions: Versions, number: number): ConsumerState {
  const folder = folderOf(dir, number)
  mkdirSync(folder, { recursive: true })
  const opened = new Map<number, Database.Database>()
  const databaseOf = (partition: number) => {
    const database = opened.get(partition) ?? openPartition(join(folder, `${partition}.db`))
    opened.set(partition, database)
    return database
  }
  const isCurrent = versions.current() === number
  return {
    version: { number, isCurrent },
    async claim(partition) {
      const isReplaced = () => isCurrent && versions.current() !== number
      return claim(databaseOf(partition), isReplaced)
    },
    async reader(partition) {
      return readerOn(databaseOf(partition))
    },
    async partitions() {
      const numbers = readdirSync(folder).flatMap(name => name.match(/^(\d+)\.db$/)?.[1] ?? [])
      return numbers.map(Number).sort((one, other) => one - other)
    },
    async [Symbol.asyncDispose]() {
      for (const database of opened.values()) database.close()
      opened.clear()
    },
  }
}

function openPartition(file: string): Database.Database {
  return openDatabase(
    file,
    `CREATE TABLE owner (generation INTEGER NOT NULL) STRICT;
     INSERT INTO owner VALUES (0);
     CREATE TABLE offsets (topic TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE rows (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE effects (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
       topic TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL) STRICT;`,
  )
}

function openDatabase(file: string, tables: string): Database.Database {
  const database = new Database(file, { timeout: BUSY_MS })
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  database.pragma(`cache_size = -${PAGE_CACHE_KIB}`)
  database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  database
    .transaction(() => {
      const id = database.pragma('application_id', { simple: true })
      const format = database.pragma('user_version', { simple: true })
      if (id === 0 && format === 0) {
        database.pragma(`application_id = ${APPLICATION_ID}`)
        database.pragma(`user_version = ${FORMAT}`)
        database.exec(tables)
      } else if (id !== APPLICATION_ID || format !== FORMAT) {
        database.close()
        throw new Error(
          `${file} is not a state of this program (id ${id}, format ${format}): move it away, and ` +
            'the state is built anew from Kafka',
        )
      }
    })
    .immediate()
  return database
}

function readerOn(database: Database.Database): Omit<PartitionState, 'commit'> {
  const offsets = database
    .prepare<[], { topic: string; next: number }>('SELECT topic, next FROM offsets')
    .all()
  const one = database.prepare<[string], Buffer>('SELECT value FROM rows WHERE key = ?').pluck()
  const between = 'SELECT key, value FROM rows WHERE key >= ? AND key < ? ORDER BY key'
  const forwards = database.prepare<[string, string, number], Row>(`${between} LIMIT ?`)
  const backwards = database.prepare<[string, string, number], Row>(`${between} DESC LIMIT ?`)
  const oldest = database.prepare<[number], WaitingEffect>(
    'SELECT number, id, topic, key, value FROM effects ORDER BY number LIMIT ?',
  )
  return {
    offsets: new Map(offsets.map(({ topic, next }) => [topic, next])),
    get: async keys => keys.map(key => one.get(key) ?? null),
    range: async ({ from, to, limit = -1, backwards: isBackwards }: Span) =>
      (isBackwards ? backwards : forwards).all(from, to, limit),
    waiting: async limit => oldest.all(limit),
  }
}

function claim(database: Database.Database, isReplaced: () => boolean): PartitionState {
  const claimed = database
    .prepare<[], number>('UPDATE owner SET generation = generation + 1 RETURNING generation')
    .pluck()
    .get()!
  const generation = database.prepare<[], number>('SELECT generation FROM owner').pluck()
  const put = database.prepare<[string, Buffer]>(
    'INSERT INTO rows VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  )
  const remove = database.prepare<[string]>('DELETE FROM rows WHERE key = ?')
  const move = database.prepare<[string, number]>(
    'INSERT INTO offsets VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET next = excluded.next',
  )
  const add = database.prepare<[string, string, string, Buffer]>(
    'INSERT OR REPLACE INTO effects (id, topic, key, value) VALUES (?, ?, ?, ?)',
  )
  const done = database.prepare<[number, string]>('DELETE FROM effects WHERE number = ? AND id = ?')
  const commit = database.transaction(({ rows, offsets, effects, sent }: Changes) => {
    if (generation.get() !== claimed) throw new Fenced('another member has the partition now')
    if (isReplaced()) throw new Fenced('another version of the state is current now')
    for (const [key, value] of rows ?? []) value === null ? remove.run(key) : put.run(key, value)
    for (const [topic, next] of offsets ?? []) move.run(topic, next)
    for (const { id, number } of sent ?? []) done.run(number, id)
    for (const { id, topic, key, value } of effects ?? []) add.run(id, topic, key, value)
  })
  return {
    ...readerOn(database),
    async commit(changes) {
      try {
        commit.immediate(changes)
      } catch (error) {
        throw awayIn(error)
      }
    },
  }
}

/** A disk that is full or a file that is locked passes; anything else is a bug or damage. */
function awayIn(error: unknown): unknown {
  const { code = '' } = error as { code?: string }
  const passes = /^SQLITE_(FULL|BUSY|IOERR|CANTOPEN|LOCKED)/.test(code)
  return passes ? new StateAway(`the state cannot be written: ${code}`, { cause: error }) : error
}
