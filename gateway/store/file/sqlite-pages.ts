import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { PAGE_BYTES, readWal } from './sqlite-wal.ts'

export type Pages = ReturnType<typeof openPages>

/**
 * Opens the pages of a database file and of its write-ahead log as they are on disk. SQLite is not
 * used, because SQLite cannot read a table of which one inner page is damaged. When the database
 * file is missing, only the log is read. `withWal: false` ignores the log.
 */
export function openPages(file: string, { withWal = true } = {}) {
  const [database, log] = [openIfExists(file), openIfExists(`${file}-wal`)]
  const wal = withWal ? readWal(`${file}-wal`).pages : new Map<number, number>()
  const pagesInFile = database === null ? 0 : Math.floor(fstatSync(database).size / PAGE_BYTES)
  const count = Math.max(pagesInFile, ...wal.keys())
  return {
    /** The number of the last page. The first page has the number 1. */
    count,
    /** Returns the newest version of a page in a new buffer; null when the page cannot be read. */
    page(number: number): Buffer | null {
      if (number < 1 || number > count) return null
      const at = wal.get(number)
      return at === undefined ? pageAt(database, (number - 1) * PAGE_BYTES) : pageAt(log, at)
    },
    close(): void {
      for (const descriptor of [database, log]) if (descriptor !== null) closeSync(descriptor)
    },
  }
}

function openIfExists(file: string): number | null {
  try {
    return openSync(file, 'r')
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null
    throw error
  }
}

function pageAt(descriptor: number | null, position: number): Buffer | null {
  if (descriptor === null) return null
  const page = Buffer.allocUnsafe(PAGE_BYTES)
  try {
    return readSync(descriptor, page, 0, PAGE_BYTES, position) === PAGE_BYTES ? page : null
  } catch {
    return null
  }
}
