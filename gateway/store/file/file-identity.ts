import { statSync } from 'node:fs'
import { CannotStart } from '../../../config/process/lifetime.ts'

/**
 * A file that this process has open is no longer the file at its path: somebody deleted, moved or
 * replaced the file, or mounted a file system over its directory. What is written to the open file
 * would be lost.
 */
export class ReplacedFileError extends CannotStart {
  constructor(file: string, event: 'deleted or moved away' | 'replaced') {
    super(
      `${file} was ${event} while this process has the file open: what is written to the open ` +
        'file would be lost, so the process ends, and the next start opens what is at that path. ' +
        'Stop the process before you move, delete or restore its files, or mount its disk',
      { isTemporary: true },
    )
  }
}

/** Device and inode of the file at a path, as a text; null when there is no file. */
export function identityOf(file: string): string | null {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found ? `${found.dev}:${found.ino}` : null
}

/** The files of an SQLite database in WAL mode that stay open together. */
export const databaseFiles = (file: string) => [file, `${file}-wal`, `${file}-shm`]

/**
 * Remembers which files are at these paths now. The returned function throws ReplacedFileError when
 * another file, or none, is at one of the paths. A path without a file counts from the first call
 * that finds a file.
 */
export function createIdentityCheck(files: readonly string[]): () => void {
  const opened = new Map(files.map(file => [file, identityOf(file)]))
  return () => {
    for (const [file, identity] of opened) {
      const current = identityOf(file)
      if (current === identity) continue
      if (identity !== null) {
        throw new ReplacedFileError(file, current === null ? 'deleted or moved away' : 'replaced')
      }
      opened.set(file, current)
    }
  }
}
