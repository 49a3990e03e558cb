import { statSync } from 'node:fs'
import { bellFile, readBell } from '../file/bell.ts'
import { readRows } from '../file/readonly-database.ts'
import { openPages } from '../file/sqlite-pages.ts'
import { PAGE_BYTES, readWal } from '../file/sqlite-wal.ts'

/** An outbox that SQLite cannot read at all is still known by its bell. */
export const hasBell = (file: string) => readBell(bellFile(file)) !== null

/**
 * Why an outbox must be made anew although it opens: intact commits lie in its write-ahead log
 * where SQLite does not read any more, and would overwrite, and the file does not have them yet.
 * One commit may be one that power cut short, unless the bell rang for it.
 */
export function findWalFault(file: string): string | null {
  const { pages, commitsAfterDamage, isHeaderIntact } = readWal(`${file}-wal`)
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size < PAGE_BYTES && pages.size > 0) return 'the file is gone from its write-ahead log'
  if (commitsAfterDamage === 0 || (!isHeaderIntact && areIn(file, pages))) return null
  return commitsAfterDamage > 1 || isBehindBell(file) ? 'the write-ahead log is damaged' : null
}

/** Power that goes while the log is begun anew damages its header, and the file has everything. */
function areIn(file: string, logged: Map<number, number>): boolean {
  const [main, both] = [openPages(file, { withLog: false }), openPages(file)]
  try {
    const isSame = (number: number) => {
      const page = main.page(number)
      return page !== null && both.page(number)?.equals(page) === true
    }
    return [...logged.keys()].every(isSame)
  } finally {
    main.close()
    both.close()
  }
}

function isBehindBell(file: string): boolean {
  const mark = readBell(bellFile(file))
  const [found] = readRows<{ id: Buffer; sequence: number | null; note: number | null }>(
    file,
    `SELECT id, (SELECT max(sequence) FROM notes) AS note,
     (SELECT sequence + count - 1 FROM groups ORDER BY sequence DESC LIMIT 1) AS sequence
     FROM store`,
  )
  if (!mark || (found && !mark.store.equals(found.id))) return false
  if (!found) return true
  return mark.sequence > (found.sequence ?? 0) || mark.noteSequence > (found.note ?? 0)
}
