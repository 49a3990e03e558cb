import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'

/** SQLite's codes for malformed pages and for pages that the disk cannot read any more. */
const DAMAGE = /^SQLITE_(CORRUPT|NOTADB|FORMAT|IOERR_READ|IOERR_SHORT_READ|IOERR_CORRUPTFS)/

/**
 * An outbox or inbox is inconsistent in a way that SQLite does not detect. The file must be
 * rebuilt.
 */
export class DamagedFileError extends Error {}

/**
 * Whether an error says that a file is damaged; false for a locked file, a full disk and similar
 * errors.
 */
export function isDamage(error: unknown): boolean {
  if (error instanceof DamagedFileError) return true
  return error instanceof Database.SqliteError && DAMAGE.test(error.code)
}

type DamageMark = { reason: string; inode: number | null }

const markFile = (file: string) => `${file}.damaged`

/**
 * Writes a damage mark beside a file, so that the file's writer recovers the file at its next
 * start. The mark contains the file's inode, so that the mark does not apply to a file that
 * replaces the damaged file. A reader of the file may write the mark, too. Never throws: when the
 * mark cannot be written, the next process that finds the damage writes the mark.
 */
export function markDamaged(file: string, reason: string): void {
  const mark: DamageMark = { reason, inode: inodeOf(file) }
  try {
    writeFileSync(markFile(file), JSON.stringify(mark), { flag: 'wx', mode: 0o600, flush: true })
  } catch {
    // The mark exists already, or the disk is full.
  }
}

/** Returns the reason why a file is marked as damaged, or null when the file is not marked. */
export function readDamageReason(file: string): string | null {
  const mark = readMark(file)
  return mark && (mark.inode === null || mark.inode === inodeOf(file)) ? mark.reason : null
}

/** Removes the damage mark of a file, because the file was recovered or replaced. */
export function removeDamageMark(file: string): void {
  rmSync(markFile(file), { force: true })
}

/**
 * Returns the inode of a file; null when the file does not exist. A file that replaces another file
 * has another inode.
 */
function inodeOf(file: string): number | null {
  return statSync(file, { throwIfNoEntry: false })?.ino ?? null
}

/**
 * A file is damaged and marked as damaged. The writer of the file must close and open it again,
 * which recovers the file.
 */
export class MustReopenError extends Error {}

/**
 * Wraps functions: when a function throws because `file` is damaged, the wrapper marks the file and
 * throws MustReopenError. Properties that are not functions are copied once.
 */
export function withDamageMarking<T extends object>(file: string, functions: T): T {
  const guarded = (work: (...args: unknown[]) => unknown) => {
    return (...args: unknown[]) => {
      try {
        return work(...args)
      } catch (error) {
        if (!isDamage(error)) throw error
        const { message } = error as Error
        markDamaged(file, message)
        throw new MustReopenError(`${file} is damaged: ${message}`, { cause: error })
      }
    }
  }
  const entries = Object.entries(functions).map(([name, value]) => [
    name,
    typeof value === 'function' ? guarded(value as never) : value,
  ])
  return Object.fromEntries(entries)
}

function readMark(file: string): DamageMark | null {
  let text: string
  try {
    text = readFileSync(markFile(file), 'utf8')
  } catch {
    return null
  }
  try {
    const { reason, inode } = JSON.parse(text)
    return { reason: String(reason), inode: typeof inode === 'number' ? inode : null }
  } catch {
    return { reason: 'the damage mark cannot be read', inode: null }
  }
}
