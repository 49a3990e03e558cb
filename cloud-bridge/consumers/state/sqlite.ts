import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { generationOf, openDatabase, type StateFile, withStateErrors } from './sqlite-database.ts'
import { claimPartition, createPartitionReader, openPartition } from './sqlite-partition.ts'
import { type ConsumerState, Fenced, type StateStore } from './state.ts'

/**
 * States in a directory, one SQLite file for each partition, so that members on one machine write
 * in parallel. A commit is atomic. A power cut can lose a commit only together with its offsets:
 * then the next owner of the partition reads the records from Kafka again.
 */
export function openSqliteStates(dir: string): StateStore {
  const opened = new Map<string, Versions>()
  const versionsOf = (consumer: string) => {
    const versions = opened.get(consumer) ?? openVersions(join(dir, consumer))
    opened.set(consumer, versions)
    return versions
  }
  return {
    open: consumer =>
      withStateErrors(() => {
        const versions = versionsOf(consumer)
        const { current } = versions.numbers()
        return stateOf(join(dir, consumer), versions, { number: current, isCurrent: true })
      }),
    build: consumer =>
      withStateErrors(() => {
        const versions = versionsOf(consumer)
        const number = versions.begin()
        return stateOf(join(dir, consumer), versions, { number, isCurrent: false })
      }),
    makeCurrent: (consumer, version) =>
      withStateErrors(() => versionsOf(consumer).makeCurrent(version)),
    async [Symbol.asyncDispose]() {
      for (const versions of opened.values()) versions[Symbol.dispose]()
      opened.clear()
    },
  }
}

const folderOf = (dir: string, version: number) => join(dir, `v${version}`)

type Versions = ReturnType<typeof openVersions>

/** The current version of a state, and the newest version, which may still be being built. */
function openVersions(dir: string) {
  mkdirSync(dir, { recursive: true })
  const { database, checkFiles } = openDatabase(
    join(dir, 'versions.db'),
    `CREATE TABLE versions (current INTEGER NOT NULL, newest INTEGER NOT NULL) STRICT;
     INSERT INTO versions VALUES (1, 1);`,
  )
  type Numbers = { current: number; newest: number }
  const numbers = database.prepare<[], Numbers>('SELECT current, newest FROM versions')
  const begin = database
    .prepare<[], number>('UPDATE versions SET newest = newest + 1 RETURNING newest')
    .pluck()
  const make = database.prepare<[number, number]>(
    'UPDATE versions SET current = ? WHERE ? IN (current, newest)',
  )
  const isLive = (number: number) => {
    const { current, newest } = numbers.get()!
    return number === current || number === newest
  }
  const requireLive = (number: number) => {
    checkFiles()
    if (!isLive(number)) throw new Fenced(`version ${number} of the state was replaced`)
  }
  return {
    numbers: () => numbers.get()!,
    begin: () => begin.get()!,
    requireLive,
    makeCurrent(number: number): void {
      if (make.run(number, number).changes === 0) requireLive(number)
    },
    [Symbol.dispose]: () => database.close(),
  }
}

function stateOf(
  dir: string,
  versions: Versions,
  version: ConsumerState['version'],
): ConsumerState {
  const folder = folderOf(dir, version.number)
  mkdirSync(folder, { recursive: true })
  removeReplaced(dir, versions)
  const opened = new Map<number, StateFile>()
  const requireLive = () => versions.requireLive(version.number)
  const fileOf = (partition: number) => {
    requireLive()
    const file = opened.get(partition) ?? openPartition(join(folder, `${partition}.db`))
    opened.set(partition, file)
    return file
  }
  return {
    version,
    claim: partition => withStateErrors(() => claimPartition(fileOf(partition), requireLive)),
    reader: partition => withStateErrors(() => createPartitionReader(fileOf(partition).database)),
    partitions: () =>
      withStateErrors(() =>
        readdirSync(folder)
          .flatMap(name => name.match(/^(\d+)\.db$/)?.[1] ?? [])
          .map(Number)
          .filter(partition => generationOf(fileOf(partition).database) > 0)
          .sort((a, b) => a - b),
      ),
    async [Symbol.asyncDispose]() {
      for (const { database } of opened.values()) database.close()
      opened.clear()
    },
  }
}

/**
 * Deletes replaced versions. A process that still uses a replaced version is fenced and keeps its
 * open files.
 */
function removeReplaced(dir: string, versions: Versions): void {
  const { current, newest } = versions.numbers()
  for (const name of readdirSync(dir)) {
    const number = Number(name.match(/^v(\d+)$/)?.[1] ?? current)
    if (number === current || number >= newest) continue
    rmSync(folderOf(dir, number), { recursive: true, force: true })
  }
}
