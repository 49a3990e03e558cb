import { bellFile, readBell } from '../file/bell.ts'
import { inodeOf, isDamage, markDamaged, readDamageReason } from '../file/damage-mark.ts'
import { hasBell } from '../recovery/wal-check.ts'
import { type OutboxReader, openOutboxReader } from './outbox-reader.ts'

/**
 * The outbox as a reader holds it over days in which it comes, goes, is replaced or restored. What
 * is damaged gets marked for the gateway, which salvages it, and is not read meanwhile.
 */
export function createReopeningReader(file: string) {
  let reader: OutboxReader | null = null
  let inode: number | null = null
  let store: { id: Buffer; gateway: string } | null = null
  let damaged: string | null = null

  const leave = () => {
    reader?.close()
    reader = null
  }
  const onDamage = (reason: string) => {
    damaged = reason
    markDamaged(file, reason)
  }
  const isReplaced = () => {
    const mark = readBell(bellFile(file))
    return inodeOf(file) !== inode || (mark && reader && !mark.store.equals(reader.store))
  }

  return {
    /** Opens what is there now, if it is not open already; tells whether it was opened anew. */
    refresh(): boolean {
      damaged = readDamageReason(file)
      if (damaged || isReplaced()) leave()
      const isNew = !reader && !damaged
      if (isNew) {
        inode = inodeOf(file)
        // What was never read may be anything; the bell says that it was an outbox.
        reader = openOutboxReader(file, reason => hasBell(file) && onDamage(reason))
      }
      store = reader && { id: reader.store, gateway: reader.gateway }
      return isNew
    },
    /** Whose outbox it is, as of the last look. */
    get store() {
      return store
    },
    /** Why it is not read until the gateway has salvaged it; null when it is sound. */
    get damaged() {
      return damaged
    },
    /** What `read` gives, or `otherwise` while there is nothing sound to read from. */
    readOrElse<T>(otherwise: T, read: (from: OutboxReader) => T): T {
      if (!reader) return otherwise
      try {
        return read(reader)
      } catch (error) {
        if (!isDamage(error)) throw error
        onDamage((error as Error).message)
        leave()
        return otherwise
      }
    },
    close: leave,
  }
}
