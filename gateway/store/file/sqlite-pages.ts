import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { PAGE_BYTES, readWal } from './sqlite-wal.ts'

export type Pages = ReturnType<typeof openPages>

/**
 * The pages of a database file and its write-ahead log as they lie on disk, read without SQLite,
 * which gives up a whole table when one page of its tree is damaged. A page that cannot be read is
 * null. The file may be missing, and then only the log counts, which may be left out.
 */
export function openPages(file: string, { withLog = true } = {}) {
  const [main, log] = [openIfThere(file), openIfThere(`${file}-wal`)]
  const wal = withLog ? readWal(`${file}-wal`).pages : new Map<number, number>()
  const inFile = main === null ? 0 : Math.floor(fstatSync(main).size / PAGE_BYTES)
  const count = Math.max(inFile, ...wal.keys())
  return {
    /** The number of the last page; the first is 1. */
    count,
    /** The newest version of a page, in a buffer of its own. */
    page(number: number): Buffer | null {
      if (number < 1 || number > count) return null
      const at = wal.get(number)
      return at === undefined ? pageAt(main, (number - 1) * PAGE_BYTES) : pageAt(log, at)
    },
    close(): void {
      for (const descriptor of [main, log]) if (descriptor !== null) closeSync(descriptor)
    },
  }
}

function openIfThere(file: string): number | null {
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
