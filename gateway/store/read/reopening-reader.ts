import { bellFile, readBell } from '../file/bell.ts'
import { inodeOf, isDamage, markDamaged, readDamageReason } from '../file/damage-mark.ts'
import { hasBell } from '../recovery/wal-check.ts'
import { type OutboxReader, openOutboxReader } from './outbox-reader.ts'

export type ReopeningReader = ReturnType<typeof createReopeningReader>

/**
 * Reads an outbox that may be created, removed, replaced or restored while the bridge runs. Marks a
 * damaged outbox for the gateway, which salvages it, and does not read it until then.
 */
export function createReopeningReader(file: string) {
  let reader: OutboxReader | null = null
  let inode: number | null = null
  let store: { id: Buffer; gateway: string } | null = null
  let damaged: string | null = null

  const close = () => {
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
    /** Opens the outbox unless the present file is open already; true when it was opened. */
    refresh(): boolean {
      damaged = readDamageReason(file)
      if (damaged || isReplaced()) close()
      const canOpen = !reader && !damaged
      if (canOpen) {
        inode = inodeOf(file)
        // A file that was never read may be anything; its bell says that it was an outbox.
        reader = openOutboxReader(file, reason => hasBell(file) && onDamage(reason))
      }
      store = reader && { id: reader.store, gateway: reader.gateway }
      return canOpen
    },
    /** The store and its gateway, as of the last refresh. */
    get store() {
      return store
    },
    /** Why the outbox is not read until the gateway has salvaged it; null when it is sound. */
    get damaged() {
      return damaged
    },
    /** The result of `read`, or `otherwise` while there is no sound outbox to read. */
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
