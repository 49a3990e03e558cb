import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Database } from 'better-sqlite3'

/** The pages that one vacuum step moves, which takes a few milliseconds. */
const VACUUM_PAGES = 128
/** The pages that one vacuum step moves on a full disk, where moving pages needs space itself. */
const TIGHT_VACUUM_PAGES = 32
/** Fewer free bytes than this are not returned to the disk, because the next commits fill them. */
const FREE_MIN_BYTES = 1024 * 1024
const FREE_MAX_FRACTION = 1 / 5
const WAL_MAX_BYTES = 16 * 1024 * 1024

/** Sizes of a database file and its disk, in bytes. `freeBytes` are unused pages of the file. */
export type DiskSpace = {
  fileBytes: number
  freeBytes: number
  walBytes: number
  freeDiskBytes: number
  diskBytes: number
}

/**
 * Measures a database file and its disk, and returns unused space to the disk in steps between
 * commits. `onTruncate` is called before the WAL is truncated.
 */
export function createSpaceControl(db: Database, onTruncate = () => {}) {
  const pages = db.prepare('PRAGMA page_count').pluck()
  const freePages = db.prepare('PRAGMA freelist_count').pluck()
  const pageBytes = db.pragma('page_size', { simple: true }) as number
  const dir = dirname(db.name)
  const walBytes = () => statSync(`${db.name}-wal`, { throwIfNoEntry: false })?.size ?? 0
  return {
    measure(): DiskSpace {
      const { bavail, blocks, bsize } = statfsSync(dir)
      return {
        fileBytes: (pages.get() as number) * pageBytes,
        freeBytes: (freePages.get() as number) * pageBytes,
        walBytes: walBytes(),
        // A file system that reports no size does not count as full.
        freeDiskBytes: blocks === 0 ? Number.MAX_SAFE_INTEGER : bavail * bsize,
        diskBytes: blocks * bsize,
      }
    },
    /** Whether the file has more free pages than it should keep. */
    hasExcessFreePages: ({ fileBytes, freeBytes }: DiskSpace) =>
      freeBytes >= FREE_MIN_BYTES && freeBytes > fileBytes * FREE_MAX_FRACTION,
    /** Whether the file has enough free pages for a vacuum. */
    hasFreePages: ({ freeBytes }: DiskSpace) => freeBytes >= FREE_MIN_BYTES,
    /** Whether the WAL should be truncated. */
    hasLongWal: ({ walBytes }: DiskSpace) => walBytes > WAL_MAX_BYTES,
    /**
     * Removes some free pages from the file; the next checkpoint shortens the file. Returns false
     * when no page was removed.
     */
    vacuum(isTight = false): boolean {
      const before = freePages.get() as number
      db.pragma(`incremental_vacuum(${isTight ? TIGHT_VACUUM_PAGES : VACUUM_PAGES})`)
      return (freePages.get() as number) < before
    },
    /**
     * Moves the content of the WAL into the database file and truncates the WAL. Does not wait for
     * readers: while a reader uses the WAL, the WAL is not truncated.
     */
    truncateWal(): void {
      onTruncate()
      const timeoutMs = db.pragma('busy_timeout', { simple: true })
      db.pragma('busy_timeout = 0')
      try {
        db.pragma('wal_checkpoint(TRUNCATE)')
      } finally {
        db.pragma(`busy_timeout = ${timeoutMs}`)
      }
    },
  }
}
