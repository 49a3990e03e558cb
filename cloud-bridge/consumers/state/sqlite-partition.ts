import type Database from 'better-sqlite3'
import { generationOf, openDatabase, type StateFile, withStateErrors } from './sqlite-database.ts'
import {
  Fenced,
  type KeyRange,
  type PartitionState,
  type PendingEffect,
  type Row,
  type StateChanges,
} from './state.ts'

/** Opens the SQLite file of one partition. */
export function openPartition(file: string): StateFile {
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

/** Creates the reader of the committed rows of a partition. */
export function createPartitionReader(database: Database.Database): Omit<PartitionState, 'commit'> {
  const offsets = database
    .prepare<[], { topic: string; next: number }>('SELECT topic, next FROM offsets')
    .all()
  const selectValue = database
    .prepare<[string], Buffer>('SELECT value FROM rows WHERE key = ?')
    .pluck()
  const selectRange = 'SELECT key, value FROM rows WHERE key >= ? AND key < ? ORDER BY key'
  const forwards = database.prepare<[string, string, number], Row>(`${selectRange} LIMIT ?`)
  const backwards = database.prepare<[string, string, number], Row>(`${selectRange} DESC LIMIT ?`)
  const oldest = database.prepare<[number], PendingEffect>(
    'SELECT number, id, topic, key, value FROM effects ORDER BY number LIMIT ?',
  )
  return {
    offsets: new Map(offsets.map(({ topic, next }) => [topic, next])),
    get: keys => withStateErrors(() => keys.map(key => selectValue.get(key) ?? null)),
    range: ({ from, to, limit = -1, backwards: isBackwards }: KeyRange) =>
      withStateErrors(() => (isBackwards ? backwards : forwards).all(from, to, limit)),
    pendingEffects: limit => withStateErrors(() => oldest.all(limit)),
  }
}

/**
 * Takes ownership of the partition. `requireLive` throws when a newer version replaced the state.
 */
export function claimPartition(
  { database, checkFiles }: StateFile,
  requireLive: () => void,
): PartitionState {
  const generation = database
    .prepare<[], number>('UPDATE owner SET generation = generation + 1 RETURNING generation')
    .pluck()
    .get()!
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
  const commit = database.transaction(({ rows, offsets, effects, sent }: StateChanges) => {
    if (generationOf(database) !== generation) {
      throw new Fenced('another member owns the partition now')
    }
    requireLive()
    for (const [key, value] of rows ?? []) value === null ? remove.run(key) : put.run(key, value)
    for (const [topic, next] of offsets ?? []) move.run(topic, next)
    for (const { id, number } of sent ?? []) done.run(number, id)
    for (const { id, topic, key, value } of effects ?? []) add.run(id, topic, key, value)
  })
  const reader = createPartitionReader(database)
  let isEmpty = reader.offsets.size === 0
  return {
    ...reader,
    commit: changes =>
      withStateErrors(() => {
        // A power cut must not lose the first offset: a consumer refuses an empty state when its
        // group has offsets in Kafka.
        const isFirst = isEmpty && changes.offsets !== undefined
        if (isFirst) database.pragma('synchronous = FULL')
        commit.immediate(changes)
        checkFiles()
        if (!isFirst) return
        database.pragma('synchronous = NORMAL')
        isEmpty = false
      }),
  }
}
