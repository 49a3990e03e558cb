import { randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, renameSync, rmSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'

const CHUNK_BYTES = 1024 * 1024
/**
 * The size of the ballast in chunks: the free space that deleting rows needs on a full disk. Before
 * the deletion, a checkpoint moves the WAL into the database file, which may grow by the size of
 * the WAL: 4 MB and one commit.
 */
const CHUNKS = 8
/**
 * The ballast is written again only when this much more disk space stays free for the next commits.
 */
const SPARE_BYTES = 4 * CHUNK_BYTES
/** How many bytes of the disk must be free before the ballast is written. */
export const BALLAST_NEEDS_BYTES = CHUNKS * CHUNK_BYTES + SPARE_BYTES

/** The reason of a refusal while the disk has no space. */
export const DISK_FULL = 'the disk is full'
const NO_SPACE = new Set(['ENOSPC', 'EDQUOT'])

/** Whether a commit, or the opening of a file, failed because the disk is full. */
export function isDiskFull(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } }
  return (code ?? cause?.code) === 'SQLITE_FULL'
}

export const ballastFile = (outboxFile: string): string => `${outboxFile}.ballast`

export type Ballast = ReturnType<typeof createBallast>

/**
 * Manages the ballast: a file of random bytes beside the outbox. The gateway removes the file when
 * the disk is full, so that delivered events can be deleted, and writes the file again when there
 * is space.
 */
export function createBallast(outboxFile: string) {
  const file = ballastFile(outboxFile)
  const draft = `${file}.new`
  let isPresent = existsSync(file)
  let fault = DISK_FULL
  return {
    get isPresent() {
      return isPresent
    },
    /**
     * Why the file is missing: DISK_FULL, or the reason and the cure of another failure to write
     * the file. Only a full disk is a reason to delete events.
     */
    get fault() {
      return fault
    },
    /** Removes the ballast file; returns false when there was no file. */
    free(): boolean {
      const existed = existsSync(file)
      rmSync(file, { force: true })
      isPresent = false
      fault = DISK_FULL
      return existed
    },
    /**
     * Writes the ballast file if the disk has enough free space; returns whether the file exists
     * now.
     */
    write(): boolean {
      if (isPresent) return true
      try {
        fault = DISK_FULL
        const { bavail, bsize } = statfsSync(dirname(file))
        if (bavail * bsize < BALLAST_NEEDS_BYTES) return false
        // Random bytes, because a compressing file system reserves no space for zeros.
        const chunk = randomBytes(CHUNK_BYTES)
        rmSync(draft, { force: true })
        for (let count = 1; count <= CHUNKS; count++) {
          appendFileSync(draft, chunk, { mode: 0o600, flush: count === CHUNKS })
        }
        renameSync(draft, file)
        isPresent = true
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        if (!NO_SPACE.has(code ?? '')) fault = faultText(file, message)
        removeDraft(draft)
      }
      return isPresent
    },
  }
}

const faultText = (file: string, reason: string) =>
  `the ballast ${file}, which keeps space for deletions on a full disk, cannot be written: ` +
  `${reason}. Let this user write in its directory, and remove what is in the way`

function removeDraft(draft: string): void {
  try {
    rmSync(draft, { force: true })
  } catch {
    // The next attempt fails for the same reason and names the reason.
  }
}
