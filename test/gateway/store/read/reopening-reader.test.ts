import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import {
  OUTBOX_APPLICATION_ID,
  outboxMigrations,
  prepareDatabase,
} from '../../../../gateway/store/file/schema.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { openEventSource } from '../../../../gateway/store/source/event-source.ts'
import { copyStore } from '../fixture.ts'
import { commit, limits, numbersOf, openStores } from '../source/source-fixture.ts'

describe('an outbox that cannot be read', () => {
  it('is a state and no error while it is missing, empty, foreign or half created', () => {
    using stores = openStores()
    const { outboxFile, source } = stores
    const isNothing = () => {
      expect(source.refresh()).toBe(null)
      expect(source.store).toBe(null)
      expect(source.ranges).toEqual([])
      expect(source.readBatch(limits)).toBe(null)
    }
    isNothing()
    writeFileSync(outboxFile, '')
    isNothing()
    writeFileSync(outboxFile, 'some text that is no database '.repeat(500))
    isNothing()
    rmSync(outboxFile)
    copyFileSync(stores.inboxFile, outboxFile)
    isNothing()
    rmSync(outboxFile)
    const half = new Database(outboxFile)
    prepareDatabase(half, OUTBOX_APPLICATION_ID, outboxMigrations)
    isNothing()
    half.close()
    const outbox = stores.openOutbox()
    expect(source.refresh()).toEqual({ id: outbox.store, gateway: 'gw' })
    outbox.close()
  })

  it('is a state and no error while another process has locked it', () => {
    using stores = openStores()
    const { source, outboxFile } = stores
    const outbox = stores.openOutbox()
    commit(outbox, 1)
    source.refresh()
    source.ensureLiveRange('readings', 6)
    outbox.close()
    source.close()
    const holder = new Database(outboxFile)
    holder.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM heads')
    const late = openEventSource({ outboxFile, inbox: stores.inbox })
    expect(late.refresh()).toBe(null)
    holder.close()
    late.refresh()
    expect(numbersOf(late)).toEqual([1])
    late.close()
  })

  it('that was replaced is another store, and the old one is no longer read', () => {
    using stores = openStores()
    const { source } = stores
    const old = stores.openOutbox()
    commit(old, 1, 2)
    source.refresh()
    source.ensureLiveRange('readings', 6)
    source.advance(source.readBatch(limits)!)
    commit(old, 3)
    old.close()
    stores.removeOutbox()
    const replaced = stores.openOutbox()
    commit(replaced, 7)
    expect(source.refresh()).toEqual({ id: replaced.store, gateway: 'gw' })
    expect(source.ranges).toEqual([])
    source.ensureLiveRange('readings', 6)
    expect(numbersOf(source)).toEqual([7])
    replaced.close()
  })

  it('that was restored is read instead of the file that is still open', () => {
    using stores = openStores()
    const { source, outboxFile, inboxFile } = stores
    const old = stores.openOutbox()
    commit(old, 1)
    old.close()
    copyStore(outboxFile, `${outboxFile}.old`)
    source.refresh()
    source.ensureLiveRange('readings', 6)
    stores.removeOutbox()
    copyStore(`${outboxFile}.old`, outboxFile)
    const restored = openOutbox({ file: outboxFile, gateway: 'gw', inboxFile })
    commit(restored, 2)
    source.refresh()
    expect(numbersOf(source)).toEqual([1, 2])
    restored.close()
  })

  it('that is written while it is read has no event skipped', () => {
    using stores = openStores()
    const { source } = stores
    const outbox = stores.openOutbox()
    const prepare = Database.prototype.prepare
    let between: (() => void) | undefined
    // Makes the gateway commit twice after the reader's query found no group at its position.
    Database.prototype.prepare = function (this: Database.Database, sql: string) {
      const statement = prepare.call(this, sql)
      const get = statement.get.bind(statement) as (...parameters: unknown[]) => unknown
      if (!sql.includes('sequence <= ?')) return statement
      return Object.assign(statement, {
        get(...parameters: unknown[]) {
          const row = get(...parameters)
          const act = between
          between = undefined
          act?.()
          return row
        },
      })
    } as typeof prepare
    source.refresh()
    Database.prototype.prepare = prepare
    source.ensureLiveRange('readings', 6)
    between = () => {
      commit(outbox, 1, 2)
      commit(outbox, 3)
    }
    expect(numbersOf(source)).toEqual([1, 2, 3])
    expect(stores.inbox.notesFrom(1)).toEqual([])
    outbox.close()
  })

  it('is read on from the old position when it is there again', () => {
    using stores = openStores()
    const { source, outboxFile } = stores
    const first = stores.openOutbox()
    commit(first, 1)
    source.refresh()
    source.ensureLiveRange('readings', 6)
    source.advance(source.readBatch(limits)!)
    commit(first, 2)
    first.close()
    copyStore(outboxFile, `${outboxFile}-away`)
    stores.removeOutbox()
    stores.openOutbox().close()
    source.refresh()
    expect(source.readBatch(limits)).toBe(null)
    stores.removeOutbox()
    copyStore(`${outboxFile}-away`, outboxFile)
    expect(source.refresh()!.id).toEqual(first.store)
    expect(numbersOf(source)).toEqual([2])
  })
})
