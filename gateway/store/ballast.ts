import { randomBytes } from 'node:crypto'
import { existsSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

const BALLAST_BYTES = 1024 * 1024

/** Whether a commit failed because the disk is full. */
export const isDiskFull = (error: unknown) =>
  (error as { code?: unknown } | null)?.code === 'SQLITE_FULL'

export type Ballast = ReturnType<typeof openBallast>

/**
 * A file beside the outbox that only takes room: freed when the disk is full, so that what is
 * delivered can be deleted then; written again when there is room.
 */
export function openBallast(outboxFile: string) {
  const file = `${outboxFile}.ballast`
  const draft = `${file}.new`
  let isThere = existsSync(file)
  return {
    get isThere() {
      return isThere
    },
    /** Frees its room; false when it was free already. */
    free(): boolean {
      const was = existsSync(file)
      rmSync(file, { force: true })
      isThere = false
      return was
    },
    /** Takes its room if there is twice as much, and tells whether it stands. */
    write(): boolean {
      if (isThere) return true
      try {
        const { bavail, bsize } = statfsSync(dirname(file))
        if (bavail * bsize < 2 * BALLAST_BYTES) return false
        // Random, because some file systems give no room to what can be compressed.
        writeFileSync(draft, randomBytes(BALLAST_BYTES), { mode: 0o600, flush: true })
        renameSync(draft, file)
        isThere = true
      } catch {
        rmSync(draft, { force: true })
      }
      return isThere
    },
  }
}
