import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'

/** Pages that are not what they should be, or that the card does not give any more. */
const DAMAGE = /^SQLITE_(CORRUPT|NOTADB|FORMAT|IOERR_READ|IOERR_SHORT_READ|IOERR_CORRUPTFS)/

/** A file of ours that contradicts itself where SQLite does not notice: it must be made anew. */
export class DamagedFileError extends Error {}

/** Whether an error says that the file is damaged, and not that something is in the way. */
export function isDamage(error: unknown): boolean {
  if (error instanceof DamagedFileError) return true
  return error instanceof Database.SqliteError && DAMAGE.test(error.code)
}

type DamageMark = { reason: string; inode: number | null }

const markFile = (file: string) => `${file}.damaged`

/**
 * Leaves a mark beside a file, so that its writer salvages it at its next start. It names the file
 * by its inode, so that it says nothing of a file that took its place. A reader may set it, too.
 * Never throws: when it cannot be written now, whoever meets the damage again tries again.
 */
export function markDamaged(file: string, reason: string): void {
  const mark: DamageMark = { reason, inode: inodeOf(file) }
  try {
    writeFileSync(markFile(file), JSON.stringify(mark), { flag: 'wx', mode: 0o600, flush: true })
  } catch {
    // It stands already, or there is no room for it.
  }
}

/** Why a file is marked as damaged, or null when it is not. */
export function readDamageReason(file: string): string | null {
  const mark = readMark(file)
  return mark && (mark.inode === null || mark.inode === inodeOf(file)) ? mark.reason : null
}

/** Takes a mark away: when it was obeyed, or speaks of a file that is not there any more. */
export function removeDamageMark(file: string): void {
  rmSync(markFile(file), { force: true })
}

/** A file that was put in another's place, a restored backup for one, is told by its inode. */
export function inodeOf(file: string): number | null {
  return statSync(file, { throwIfNoEntry: false })?.ino ?? null
}

/** A file was found damaged and is marked: who writes it must open it again. */
export class MustReopenError extends Error {}

/**
 * The same functions, of which each sets the mark of `file` when it finds that the file is damaged,
 * and then throws MustReopen.
 */
export function withDamageMarking<T extends object>(file: string, functions: T): T {
  const guarded = (work: (...given: unknown[]) => unknown) => {
    return (...given: unknown[]) => {
      try {
        return work(...given)
      } catch (error) {
        if (!isDamage(error)) throw error
        const { message } = error as Error
        markDamaged(file, message)
        throw new MustReopenError(`${file} is damaged: ${message}`, { cause: error })
      }
    }
  }
  const all = Object.entries(functions).map(([name, value]) => [
    name,
    typeof value === 'function' ? guarded(value as never) : value,
  ])
  return Object.fromEntries(all)
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
    return { reason: 'a mark that cannot be read', inode: null }
  }
}
