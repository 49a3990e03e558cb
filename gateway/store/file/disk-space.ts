import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Database } from 'better-sqlite3'

/** So many pages are moved in a few milliseconds. */
const VACUUM_PAGES = 128
/** On a full disk the move itself must fit in what little room there is. */
const TIGHT_VACUUM_PAGES = 32
/** Fewer free pages than this are not worth giving back: the next commits take them. */
const FREE_MIN_BYTES = 1024 * 1024
const FREE_MAX_SHARE = 1 / 5
const WAL_MAX_BYTES = 16 * 1024 * 1024

/** What a file takes and what its disk has, in bytes. `freeBytes` is unused room in the file. */
export type DiskSpace = {
  fileBytes: number
  freeBytes: number
  walBytes: number
  freeDiskBytes: number
  diskBytes: number
}

/**
 * Measures a file's room and gives back what it does not need, in steps between commits.
 * `onTruncate` is called before a WAL goes.
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
        // A file system that does not tell is not a full one.
        freeDiskBytes: blocks === 0 ? Number.MAX_SAFE_INTEGER : bavail * bsize,
        diskBytes: blocks * bsize,
      }
    },
    /** Whether the file has more free room than it should keep. */
    hasExcessFreePages: ({ fileBytes, freeBytes }: DiskSpace) =>
      freeBytes >= FREE_MIN_BYTES && freeBytes > fileBytes * FREE_MAX_SHARE,
    hasFreePages: ({ freeBytes }: DiskSpace) => freeBytes >= FREE_MIN_BYTES,
    hasLongWal: ({ walBytes }: DiskSpace) => walBytes > WAL_MAX_BYTES,
    /** Takes some free pages out of the file; the next checkpoint shortens it. False: none went. */
    vacuum(isTight = false): boolean {
      const before = freePages.get() as number
      db.pragma(`incremental_vacuum(${isTight ? TIGHT_VACUUM_PAGES : VACUUM_PAGES})`)
      return (freePages.get() as number) < before
    },
    /** Empties the WAL into the file, both as short as can be; whoever reads is not waited for. */
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
