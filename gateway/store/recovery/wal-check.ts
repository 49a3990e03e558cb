import { statSync } from 'node:fs'
import { bellFile, readBell } from '../file/bell.ts'
import { readRows } from '../file/readonly-database.ts'
import { openPages } from '../file/sqlite-pages.ts'
import { PAGE_BYTES, readWal } from '../file/sqlite-wal.ts'

/** Whether a bell stands beside the file: proof of our outbox even when SQLite cannot read it. */
export const hasBell = (file: string) => readBell(bellFile(file)) !== null

/**
 * Why an outbox must be rebuilt although SQLite opens it; null when there is no reason. Intact
 * commits lie in the write-ahead log after a damaged place, the database file lacks them, and
 * SQLite would overwrite them. A single such commit may be one that a power cut interrupted, unless
 * the bell rang for it.
 */
export function findWalFault(file: string): string | null {
  const { pages, commitsAfterDamage, isHeaderIntact } = readWal(`${file}-wal`)
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size < PAGE_BYTES && pages.size > 0)
    return 'the database file is missing beside its write-ahead log'
  if (commitsAfterDamage === 0 || (!isHeaderIntact && hasPages(file, pages))) return null
  return commitsAfterDamage > 1 || isOlderThanBell(file) ? 'the write-ahead log is damaged' : null
}

/**
 * Whether the database file itself has all pages of the log: a power cut while SQLite restarts the
 * log damages the log's header, and the file has every commit.
 */
function hasPages(file: string, logged: Map<number, number>): boolean {
  const [main, merged] = [openPages(file, { withWal: false }), openPages(file)]
  try {
    const isSame = (number: number) => {
      const page = main.page(number)
      return page !== null && merged.page(number)?.equals(page) === true
    }
    return [...logged.keys()].every(isSame)
  } finally {
    main.close()
    merged.close()
  }
}

/** Whether the bell rang for an event or a note that the database does not show. */
function isOlderThanBell(file: string): boolean {
  const mark = readBell(bellFile(file))
  const [stored] = readRows<{ id: Buffer; sequence: number | null; note: number | null }>(
    file,
    `SELECT id, (SELECT max(sequence) FROM notes) AS note,
     (SELECT sequence + count - 1 FROM groups ORDER BY sequence DESC LIMIT 1) AS sequence
     FROM store`,
  )
  if (!mark || (stored && !mark.store.equals(stored.id))) return false
  if (!stored) return true
  return mark.sequence > (stored.sequence ?? 0) || mark.noteSequence > (stored.note ?? 0)
}
