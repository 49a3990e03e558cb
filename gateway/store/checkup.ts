import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { damageOf, isDamage } from './damage.ts'
import { openOutboxReader } from './outbox-reader.ts'
import type { Range } from './range.ts'
import { peek } from './read.ts'
import { isReplay } from './replays.ts'
import {
  INBOX_ID,
  identify,
  inboxMigrations,
  NotOurs,
  OUTBOX_ID,
  outboxMigrations,
} from './schema.ts'

/** What stands at the path of a store. `fault` says why it cannot be used as it is. */
export type Checkup =
  | { state: 'none' }
  | { state: 'sound'; usedBytes: number }
  | { state: 'damaged'; fault: string }
  | { state: 'foreign'; fault: string }
  | { state: 'unreadable'; fault: string }

const kinds = {
  outbox: [OUTBOX_ID, outboxMigrations],
  inbox: [INBOX_ID, inboxMigrations],
} as const

/** Looks at the file of a store and changes nothing, whether somebody writes it or not. */
export function checkStore(kind: keyof typeof kinds, file: string): Checkup {
  if (!existsSync(file)) return { state: 'none' }
  const mark = damageOf(file)
  if (mark !== null) return { state: 'damaged', fault: mark }
  const [applicationId, migrations] = kinds[kind]
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2000 })
    identify(db, applicationId, [...migrations])
    const number = (pragma: string) => db!.pragma(pragma, { simple: true }) as number
    const pages = number('page_count') - number('freelist_count')
    return { state: 'sound', usedBytes: pages * number('page_size') }
  } catch (error) {
    const { message } = error as Error
    if (error instanceof NotOurs) return { state: 'foreign', fault: message }
    return { state: isDamage(error) ? 'damaged' : 'unreadable', fault: message }
  } finally {
    db?.close()
  }
}

/**
 * How old the oldest event is that waits for Kafka, in ms, by what is saved of the positions; 0
 * when none waits, or the stores cannot be read.
 */
export function waitingAgeMs(outboxFile: string, inboxFile: string): number {
  try {
    using outbox = disposable(openOutboxReader(outboxFile))
    if (!outbox.value) return 0
    const query = 'SELECT next, "end", reason FROM ranges WHERE store = ?'
    const all = existsSync(inboxFile)
      ? peek<Pick<Range, 'next' | 'end' | 'reason'>>(inboxFile, query, outbox.value.store)
      : []
    const awaited = all.filter(range => !isReplay(range))
    return outbox.value.backlog(all.length > 0 ? awaited : null, Date.now()).oldestAgeMs
  } catch (error) {
    if (error instanceof Database.SqliteError) return 0
    throw error
  }
}

const disposable = <T extends { close(): void }>(value: T | null) => ({
  value,
  [Symbol.dispose]: () => value?.close(),
})
