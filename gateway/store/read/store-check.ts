import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { isReplay } from '../delivery/range-kind.ts'
import { isDamage, readDamageReason } from '../file/damage-mark.ts'
import { readRows } from '../file/readonly-database.ts'
import {
  ForeignFileError,
  INBOX_APPLICATION_ID,
  identifyDatabase,
  inboxMigrations,
  OUTBOX_APPLICATION_ID,
  outboxMigrations,
} from '../file/schema.ts'
import type { Range } from '../sequence/delivery-range.ts'
import { openOutboxReader } from './outbox-reader.ts'

/** What stands at the path of a store. `fault` says why it cannot be used as it is. */
export type StoreCheck =
  | { state: 'none' }
  | { state: 'sound'; usedBytes: number }
  | { state: 'damaged'; fault: string }
  | { state: 'foreign'; fault: string }
  | { state: 'unreadable'; fault: string }

const kinds = {
  outbox: [OUTBOX_APPLICATION_ID, outboxMigrations],
  inbox: [INBOX_APPLICATION_ID, inboxMigrations],
} as const

/** Looks at the file of a store and changes nothing, whether somebody writes it or not. */
export function checkStore(kind: keyof typeof kinds, file: string): StoreCheck {
  if (!existsSync(file)) return { state: 'none' }
  const mark = readDamageReason(file)
  if (mark !== null) return { state: 'damaged', fault: mark }
  const [applicationId, migrations] = kinds[kind]
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2000 })
    identifyDatabase(db, applicationId, [...migrations])
    const number = (pragma: string) => db!.pragma(pragma, { simple: true }) as number
    const pages = number('page_count') - number('freelist_count')
    return { state: 'sound', usedBytes: pages * number('page_size') }
  } catch (error) {
    const { message } = error as Error
    if (error instanceof ForeignFileError) return { state: 'foreign', fault: message }
    return { state: isDamage(error) ? 'damaged' : 'unreadable', fault: message }
  } finally {
    db?.close()
  }
}

/**
 * By what is saved of the ranges: how old the oldest event is that waits for Kafka, in ms (0 when
 * none waits), and over how many partitions zones are spread (null before the first contact, or
 * when the stores cannot be read).
 */
export function readRangeStatus(outboxFile: string, inboxFile: string) {
  const nothing = { oldestWaitingMs: 0, partitions: null }
  try {
    using outbox = disposable(openOutboxReader(outboxFile))
    if (!outbox.value) return nothing
    const query = 'SELECT * FROM ranges WHERE store = ?'
    const all = existsSync(inboxFile) ? readRows<Range>(inboxFile, query, outbox.value.store) : []
    const awaited = all.filter(range => !isReplay(range))
    const { oldestAgeMs } = outbox.value.backlog(all.length > 0 ? awaited : null, Date.now())
    const spread = awaited.map(({ partitions }) => partitions)
    return {
      oldestWaitingMs: oldestAgeMs,
      partitions: spread.length > 0 ? Math.max(...spread) : null,
    }
  } catch (error) {
    if (error instanceof Database.SqliteError) return nothing
    throw error
  }
}

const disposable = <T extends { close(): void }>(value: T | null) => ({
  value,
  [Symbol.dispose]: () => value?.close(),
})
