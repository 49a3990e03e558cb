import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { type Inbox, openInbox } from '../../../gateway/store/inbox.ts'
import { type Outbox, openOutbox } from '../../../gateway/store/outbox.ts'
import { OUTBOX_ID, outboxMigrations, prepare } from '../../../gateway/store/schema.ts'
import { mulberry32 } from '../../building/random.ts'
import { type Amounts, type Mark, type Phase, startPromised } from './marks.ts'
import { deadLetterOf, hashOf, keyOfStore, packetOf, readingOf } from './numbered.ts'

/** Who writes the rehearsed stores. */
export const GATEWAY = 'rehearsal'
/** Positions are saved when the workload says so. */
const NEVER_MS = 2_000_000_000

export const outboxIn = (dir: string) => join(dir, 'outbox.db')
export const inboxIn = (dir: string) => join(dir, 'inbox.db')

/** Opens both files of a folder as gateway and bridge do, one after the other. */
export const openOutboxIn = (dir: string) =>
  openOutbox({ file: outboxIn(dir), gateway: GATEWAY, inboxFile: inboxIn(dir) })
export const openInboxIn = (dir: string) => openInbox({ file: inboxIn(dir), settleMs: NEVER_MS })

export type Workload = ReturnType<typeof startWorkload>

/**
 * Opens the store in a folder, a new one or one that an earlier process left, and works on it with
 * the product's own code. Before it asks for something, and when the store has promised it, it says
 * so in the file `marks`. `isHasty` says so too early, as no gateway must.
 */
export function startWorkload(dir: string, store: string, seed: number, isHasty: boolean) {
  const promised = startPromised()
  const marksFile = join(dir, 'marks')
  if (existsSync(marksFile)) promised.addLines(readFileSync(marksFile, 'utf8'))
  const marks = openSync(marksFile, 'a')
  const key = keyOfStore(seed, store)
  const random = mulberry32(key + promised.commits.length)
  const mark = (next: Mark) => {
    writeSync(marks, `${JSON.stringify(next)}\n`)
    promised.add(next)
  }
  const enter = (phase: Phase) => mark({ phase })
  const isNew = promised.store === null
  enter(isNew ? 'migration' : 'open')
  if (isNew) createOlder(outboxIn(dir), random)
  let outbox: Outbox = openOutboxIn(dir)
  const inbox: Inbox = openInboxIn(dir)
  if (isNew) {
    mark({ store: outbox.store.toString('hex') })
    const rest = { end: null, topic: 'rehearsal', partitions: 6, zones: null, reason: 'rehearsal' }
    mark({ moving: 1 })
    inbox.addRange({ store: outbox.store, next: 1, ...rest })
    mark({ moved: 1 })
  }

  return {
    ...{ dir, key, random, promised, mark, enter, inbox },
    get outbox() {
      return outbox
    },
    /** Commits so many more readings and dead letters. */
    commit(more: Amounts): void {
      const before = promised.commits.at(-1)!
      const now = {
        readings: before.readings + more.readings,
        deadLetters: before.deadLetters + more.deadLetters,
      }
      enter('commit')
      mark({ committing: now })
      if (isHasty) mark({ acknowledged: now })
      if (more.readings > 0) {
        outbox.incoming.forget('device')
        outbox.incoming.remember('device', packetOf(now.readings), hashOf(now.readings))
      }
      const numbers = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, at) => from + at + 1)
      outbox.commit({
        readings: numbers(before.readings, now.readings).map(number => readingOf(key, number)),
        deadLetters: numbers(before.deadLetters, now.deadLetters).map(number => ({
          at: number,
          deadLetter: deadLetterOf(key, number),
        })),
      })
      if (outbox.lastSequence !== now.readings) throw new Error(`${store}: numbers are not as told`)
      mark({ acknowledged: now })
    },
    /** Closes the outbox, which checkpoints it, and opens it again. */
    reopen(): void {
      enter('commit')
      outbox.close()
      enter('open')
      outbox = openOutboxIn(dir)
    },
    close(): void {
      enter('commit')
      outbox.close()
      enter('inbox')
      inbox.close()
      closeSync(marks)
    },
  }
}

/** A store as an earlier version of the program left it, so that opening it migrates. */
function createOlder(file: string, random: () => number): void {
  const version = 1 + Math.floor(random() * outboxMigrations.length)
  if (version === outboxMigrations.length) return
  const db = new Database(file)
  prepare(db, OUTBOX_ID, outboxMigrations.slice(0, version))
  db.close()
}
