import { statSync } from 'node:fs'
import { bellFile, readBell } from '../file/bell.ts'
import { readRows } from '../file/readonly-database.ts'
import { openPages } from '../file/sqlite-pages.ts'
import { PAGE_BYTES, readWal } from '../file/sqlite-wal.ts'

/**
 * Whether a valid bell is beside the file. The bell proves that the file is an outbox even when
 * SQLite cannot read the file.
 */
export const hasBell = (file: string) => readBell(bellFile(file)) !== null

/**
 * Returns the reason why an outbox must be rebuilt although SQLite can open it; null when there is
 * no reason. The reason is that the write-ahead log contains intact commits after a damaged frame,
 * which the database file does not contain and which SQLite would overwrite. A single commit after
 * the damage may be a commit that a power cut interrupted, so it is a reason only if the bell rang
 * for it.
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
 * Whether the database file itself contains all pages of the log. This is so after a power cut
 * while SQLite restarts the log: the log's header is damaged, but the database file contains every
 * commit.
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

/** Whether the bell rang for an event or a note that SQLite does not find in the database. */
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
