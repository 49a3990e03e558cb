import { randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, renameSync, rmSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'

const CHUNK_BYTES = 1024 * 1024
/**
 * What a full disk needs to get going again: the file grows by what stands in the WAL (4 MB and a
 * commit) before the WAL can be emptied, and before that nothing can be deleted either.
 */
const CHUNKS = 8
/** How much more must be free until it is written again: the next commits need some. */
const SPARE_BYTES = 4 * CHUNK_BYTES

/** Whether a commit, or opening the file, failed because the disk is full. */
export function isDiskFull(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } }
  return (code ?? cause?.code) === 'SQLITE_FULL'
}

export type Ballast = ReturnType<typeof createBallast>

/**
 * A file beside the outbox that only takes room: freed when the disk is full, so that what is
 * delivered can be deleted then; written again when there is room.
 */
export function createBallast(outboxFile: string) {
  const file = `${outboxFile}.ballast`
  const draft = `${file}.new`
  let isPresent = existsSync(file)
  return {
    get isPresent() {
      return isPresent
    },
    /** Frees its room; false when it was free already. */
    free(): boolean {
      const was = existsSync(file)
      rmSync(file, { force: true })
      isPresent = false
      return was
    },
    /** Takes its room if there is some more, and tells whether it stands. */
    write(): boolean {
      if (isPresent) return true
      try {
        const { bavail, bsize } = statfsSync(dirname(file))
        if (bavail * bsize < CHUNKS * CHUNK_BYTES + SPARE_BYTES) return false
        // Random, because some file systems give no room to what can be compressed.
        const chunk = randomBytes(CHUNK_BYTES)
        rmSync(draft, { force: true })
        for (let count = 1; count <= CHUNKS; count++) {
          appendFileSync(draft, chunk, { mode: 0o600, flush: count === CHUNKS })
        }
        renameSync(draft, file)
        isPresent = true
      } catch {
        rmSync(draft, { force: true })
      }
      return isPresent
    },
  }
}
