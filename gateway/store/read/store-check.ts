import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { type ReadRange, readRanges } from '../delivery/range-table.ts'
import { isDamage, readDamageReason } from '../file/damage-mark.ts'
import { openReadOnly } from '../file/readonly-database.ts'
import {
  ForeignFileError,
  INBOX_APPLICATION_ID,
  identifyDatabase,
  inboxMigrations,
  OUTBOX_APPLICATION_ID,
  outboxMigrations,
} from '../file/schema.ts'
import { openOutboxReader } from './outbox-reader.ts'

/**
 * The file at the path of a store. `gateway` is the gateway's id in an outbox. `fault` says why the
 * file cannot be used as it is.
 */
export type StoreCheck =
  | { state: 'none' }
  | { state: 'sound'; usedBytes: number; gateway: string | null }
  | { state: 'damaged'; fault: string }
  | { state: 'foreign'; fault: string; cure: string }
  | { state: 'unreadable'; fault: string }

const kinds = {
  outbox: [OUTBOX_APPLICATION_ID, outboxMigrations],
  inbox: [INBOX_APPLICATION_ID, inboxMigrations],
} as const

/**
 * Checks an outbox or inbox without changing the file. The writer of the file may run meanwhile.
 */
export function checkStore(kind: keyof typeof kinds, file: string): StoreCheck {
  if (!existsSync(file)) return { state: 'none' }
  const damage = readDamageReason(file)
  if (damage !== null) return { state: 'damaged', fault: damage }
  const [applicationId, migrations] = kinds[kind]
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2000 })
    identifyDatabase(db, applicationId, [...migrations])
    const number = (pragma: string) => db!.pragma(pragma, { simple: true }) as number
    const pages = number('page_count') - number('freelist_count')
    return { state: 'sound', usedBytes: pages * number('page_size'), gateway: gatewayOf(kind, db) }
  } catch (error) {
    const { message } = error as Error
    if (error instanceof ForeignFileError) {
      return { state: 'foreign', fault: `the file ${error.reason}`, cure: error.cure }
    }
    return { state: isDamage(error) ? 'damaged' : 'unreadable', fault: message }
  } finally {
    db?.close()
  }
}

/** The gateway's id in an outbox; null for an inbox, and before the outbox has a gateway. */
function gatewayOf(kind: keyof typeof kinds, db: Database.Database): string | null {
  if (kind === 'inbox') return null
  const row = db.prepare('SELECT gateway FROM store').get() as { gateway: string } | undefined
  return row?.gateway ?? null
}

/**
 * Reads the partition count of the ranges in the inbox; null before the bridge's first contact with
 * the outbox, and when outbox or inbox cannot be read.
 */
export function readSpread(outboxFile: string, inboxFile: string): number | null {
  try {
    using outbox = disposable(openOutboxReader(outboxFile))
    if (!outbox.value) return null
    const ranges = readSavedRanges(inboxFile, outbox.value.store)
    const counts = ranges.flatMap(({ isReplay, partitions }) => (isReplay ? [] : [partitions]))
    return counts.length > 0 ? Math.max(...counts) : null
  } catch (error) {
    if (error instanceof Database.SqliteError) return null
    throw error
  }
}

/** The saved ranges of a store; none when the inbox is missing or cannot be read. */
function readSavedRanges(inboxFile: string, store: Buffer): ReadRange[] {
  using inbox = disposable(openReadOnly(inboxFile, INBOX_APPLICATION_ID))
  try {
    return inbox.value ? readRanges(inbox.value, store) : []
  } catch (error) {
    if (error instanceof Database.SqliteError) return []
    throw error
  }
}

const disposable = <T extends { close(): void }>(value: T | null) => ({
  value,
  [Symbol.dispose]: () => value?.close(),
})
