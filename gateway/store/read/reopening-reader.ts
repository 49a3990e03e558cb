import { bellFile, readBell } from '../file/bell.ts'
import { isDamage, markDamaged, readDamageReason } from '../file/damage-mark.ts'
import { databaseFiles, identityOf } from '../file/file-identity.ts'
import { type NoteWriter, UNKNOWN_WRITER } from '../notes/note-kinds.ts'
import { hasBell } from '../recovery/wal-check.ts'
import { type OutboxReader, openOutboxReader } from './outbox-reader.ts'

export type ReopeningReader = ReturnType<typeof createReopeningReader>

/**
 * Reads an outbox that may be created, removed, replaced or restored while the bridge runs. Marks a
 * damaged outbox as damaged, and does not read the outbox until the gateway has salvaged it.
 */
export function createReopeningReader(file: string) {
  let reader: OutboxReader | null = null
  let identity = ''
  let store: { id: Buffer; gateway: string } | null = null
  let damaged: string | null = null
  let run: { gateway: string; epoch: number } | null = null

  const close = () => {
    reader?.close()
    reader = null
  }
  const onDamage = (reason: string) => {
    damaged = reason
    markDamaged(file, reason)
  }
  const currentIdentity = () => databaseFiles(file).map(identityOf).join()
  /**
   * Reads which run owns the open outbox; while that cannot be read, returns what was read last.
   * Never reports damage: a caller may be inside of `readOrElse`, and the next `readOrElse` finds
   * the same obstacle and reports it.
   */
  const readRun = () => {
    try {
      run = reader?.readRun() ?? run
    } catch {}
    return run
  }
  const isReplaced = () => {
    const mark = readBell(bellFile(file))
    return currentIdentity() !== identity || (mark && reader && !mark.store.equals(reader.store))
  }

  return {
    /**
     * Opens the outbox unless the file now at its path is open already; returns true when the
     * outbox was opened.
     */
    refresh(): boolean {
      damaged = readDamageReason(file)
      if (damaged || isReplaced()) close()
      const canOpen = !reader && !damaged
      if (canOpen) {
        identity = currentIdentity()
        // A file that was never read may be of any kind. It is marked as damaged only when its bell
        // proves that it was an outbox.
        reader = openOutboxReader(file, reason => hasBell(file) && onDamage(reason))
      }
      const owner = readRun()
      store = reader && owner && { id: reader.store, gateway: owner.gateway }
      return canOpen
    },
    /** The store and its gateway, as of the last refresh. */
    get store() {
      return store
    },
    /** Returns the epoch of the outbox; while it cannot be read, the epoch that was read last. */
    readEpoch: () => readRun()?.epoch ?? null,
    /** Returns the run that owns the outbox, and its gateway, in the form that notes name them. */
    readWriter: (): NoteWriter => {
      const owner = readRun()
      return owner ? { gateway: owner.gateway, run: owner.epoch } : UNKNOWN_WRITER
    },
    /**
     * The damage of the outbox, which is not read until the gateway has salvaged it; null when no
     * damage was found.
     */
    get damaged() {
      return damaged
    },
    /** Returns the result of `read`, or `otherwise` while there is no undamaged outbox to read. */
    readOrElse<T>(otherwise: T, read: (reader: OutboxReader) => T): T {
      if (!reader) return otherwise
      try {
        return read(reader)
      } catch (error) {
        if (!isDamage(error)) throw error
        onDamage((error as Error).message)
        close()
        return otherwise
      }
    },
    close,
  }
}
