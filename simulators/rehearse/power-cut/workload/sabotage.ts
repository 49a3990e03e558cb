import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import Database from 'better-sqlite3'

/** Each promise that can be broken on purpose, to see that the rehearsal notices, and how. */
export const sabotages = {
  /** Acknowledges before the commit. */
  'ack-first': () => {},
  /** Commits without fsync. */
  'no-fsync': breakFsync,
  /** Prunes by positions that are not saved yet. */
  'prune-first': () => {},
  /** Drops without a tombstone. */
  'drop-silently': () => {},
  /** Migrates without a transaction. */
  'half-migration': breakMigration,
  /** Heals without having the new file on disk before it takes the old one's place. */
  'heal-unsynced': breakSync,
}

/** A promise that is broken on purpose, to see that the rehearsal notices. */
export type Sabotage = keyof typeof sabotages

/** Makes the product's own connections commit without fsync, and say that they do not. */
function breakFsync(): void {
  const { pragma } = Database.prototype
  Database.prototype.pragma = function (source, options) {
    if (source === 'synchronous = FULL') return pragma.call(this, 'synchronous = NORMAL')
    if (source === 'synchronous') return 2
    return pragma.call(this, source, options)
  }
}

/** What a migration changes lasts before the version says so. */
function breakMigration(): void {
  const { exec } = Database.prototype
  Database.prototype.exec = function (source) {
    if (!this.inTransaction) return exec.call(this, source)
    exec.call(this, 'COMMIT')
    exec.call(this, source)
    return exec.call(this, 'BEGIN IMMEDIATE')
  }
}

/** What Node is asked to put on disk stays where it is; SQLite syncs by itself. */
function breakSync(): void {
  fs.fsyncSync = () => {}
  syncBuiltinESMExports()
}
