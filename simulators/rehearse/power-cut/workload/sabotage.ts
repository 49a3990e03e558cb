import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import Database from 'better-sqlite3'

/** Each promise that can be broken on purpose, and the function that breaks it. */
export const sabotages = {
  /** Acknowledges before the commit. */
  'ack-first': () => {},
  /** Commits without fsync. */
  'no-fsync': breakFsync,
  /** Prunes up to a position that is not saved yet. */
  'prune-first': () => {},
  /** Drops without a tombstone. */
  'drop-silently': () => {},
  /** Migrates without a transaction. */
  'half-migration': breakMigration,
  /** Recovers without an fsync of the new file before it replaces the old one. */
  'recover-unsynced': breakSync,
}

/** A promise that is broken on purpose: a rehearsal must detect it. */
export type Sabotage = keyof typeof sabotages

/**
 * Makes the product's own connections commit without fsync, although they report synchronous =
 * FULL.
 */
function breakFsync(): void {
  const { pragma } = Database.prototype
  Database.prototype.pragma = function (source, options) {
    if (source === 'synchronous = FULL') return pragma.call(this, 'synchronous = NORMAL')
    if (source === 'synchronous') return 2
    return pragma.call(this, source, options)
  }
}

/** Commits the changes of a migration before the new version number, not together with it. */
function breakMigration(): void {
  const { exec } = Database.prototype
  Database.prototype.exec = function (source) {
    if (!this.inTransaction) return exec.call(this, source)
    exec.call(this, 'COMMIT')
    exec.call(this, source)
    return exec.call(this, 'BEGIN IMMEDIATE')
  }
}

/** Makes Node's fsync do nothing. SQLite's own fsync still works. */
function breakSync(): void {
  fs.fsyncSync = () => {}
  syncBuiltinESMExports()
}
