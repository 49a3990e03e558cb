import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import { describeStateStore } from '../../../contracts/state-store.ts'

function temporary() {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-states-'))
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) }
}

describeStateStore('SQLite', async () => {
  const { dir, [Symbol.dispose]: remove } = temporary()
  return {
    place: { dir, postgresUrl: null },
    async makeUnreachable(consumer) {
      const locking = new Database(join(dir, consumer, 'v1', '0.db'))
      locking.exec('BEGIN EXCLUSIVE')
      return async () => void locking.close()
    },
    async [Symbol.asyncDispose]() {
      remove()
    },
  }
})

describe('the files of a state', () => {
  it('are deleted when their version was replaced', async () => {
    using folder = temporary()
    await using store = openSqliteStates(folder.dir)
    const versions = () => readdirSync(join(folder.dir, 'c')).filter(name => /^v\d/.test(name))
    await (await store.open('c')).claim(0)
    await (await store.build('c')).claim(0)
    const { version } = await store.build('c')
    expect(versions()).toEqual(['v1', 'v3'])
    await store.makeCurrent('c', version.number)
    await store.open('c')
    expect(existsSync(join(folder.dir, 'c', 'v1'))).toBe(false)
  })

  it('are distinguished from foreign files, which stay unchanged', async () => {
    using folder = temporary()
    await using store = openSqliteStates(folder.dir)
    const state = await store.open('c')
    const file = (partition: number) => join(folder.dir, 'c', 'v1', `${partition}.db`)
    writeFileSync(file(0), 'not a database, and longer than a header'.repeat(100))
    const foreign = new Database(file(1))
    foreign.exec('CREATE TABLE theirs (x)')
    await expect(state.claim(0)).rejects.toThrow(/0\.db is not a state .* rebuilt from Kafka/)
    await expect(state.claim(1)).rejects.toThrow('move the file away')
    expect(foreign.pragma('journal_mode', { simple: true })).toBe('delete')
    foreign.close()
  })

  it.each(['v1/0.db', 'v1/0.db-wal', 'versions.db'])(
    'are not trusted by name: no commit succeeds after c/%s was deleted',
    async name => {
      using folder = temporary()
      await using store = openSqliteStates(folder.dir)
      await using state = await store.open('c')
      const partition = await state.claim(0)
      await partition.commit({ offsets: new Map([['topic', 1]]) })
      rmSync(join(folder.dir, 'c', name))
      const commit = partition.commit({ offsets: new Map([['topic', 2]]) })
      await expect(commit).rejects.toThrow(/was deleted or moved away while this process/)
    },
  )
})
