import type { Database } from 'better-sqlite3'

import { type Change, createUnreleasedIndex, type UnreleasedMessage } from './qos2-index.ts'

/** How many unreleased messages one client and all clients together may have. */
export type UnreleasedBounds = { perClientMax: number; totalMax: number }

/** The `at` of a message that was received while the clock was not trusted. */
export const UNKNOWN_TIME = 0

/**
 * QoS 2 messages that are stored and not yet released by a PUBREL. They are stored in the outbox
 * and also in memory, because every QoS 2 message is looked up. A change is visible in memory at
 * once and is written with the next commit. A message with a stored packet id counts as repeated
 * only when the hash of its topic and payload equals the stored hash, because a device reuses a
 * packet id after PUBCOMP.
 *
 * Forgetting an unreleased message never loses a reading: the reading is stored. When the device
 * sends the forgotten message a second time, the gateway stores the message a second time.
 */
export function createUnreleasedMessages(db: Database) {
  const selectAll = db.prepare('SELECT client, packet, hash, at FROM incoming ORDER BY at')
  const writeChange = prepareChange(db)
  const index = createUnreleasedIndex()
  const forgottenAtBounds: Record<keyof UnreleasedBounds, number> = { perClientMax: 0, totalMax: 0 }
  let staged: Change[] = []

  const reload = () => {
    staged = []
    index.clear()
    const rows = selectAll.all() as UnreleasedMessage[]
    for (const row of rows) index.apply({ kind: 'remember', ...row })
  }
  const stage = (change: Change) => {
    index.apply(change)
    staged.push(change)
  }
  /** Forgets up to `maxCount` messages of a client because of a bound, oldest first. */
  const forgetOldest = (client: string, maxCount: number, bound: keyof UnreleasedBounds) => {
    const packets = index.oldestPackets(client, maxCount)
    for (const packet of packets) stage({ kind: 'release', client, packet })
    forgottenAtBounds[bound] += packets.length
  }
  reload()

  return {
    /** The number of messages that are not released. */
    get count() {
      return index.count
    },
    /** How many messages each bound has made forgotten since the outbox was opened. */
    get forgottenAtBounds() {
      return { ...forgottenAtBounds }
    },
    /** The clients that have unreleased messages. */
    get clients() {
      return index.clients()
    },
    /** Whether a client's packet id belongs to a stored message with this hash. */
    has(client: string, packet: number, hash: Buffer): boolean {
      return index.hashOf(client, packet)?.equals(hash) ?? false
    },
    /** Adds a message, received at `at` in ms since 1970. */
    remember: (client: string, packet: number, hash: Buffer, at = UNKNOWN_TIME) =>
      stage({ kind: 'remember', client, packet, hash, at }),
    release: (client: string, packet: number) => stage({ kind: 'release', client, packet }),
    /** Removes all messages of a client, whose session ended. Returns how many. */
    forget(client: string): number {
      const size = index.sizeOf(client)
      if (size > 0) stage({ kind: 'forget', client })
      return size
    },

    /**
     * Forgets the oldest messages beyond the bounds. A client that exceeds `perClientMax` loses its
     * own messages only. Beyond `totalMax`, clients that are not connected lose their messages
     * first, and then the client with the most messages.
     */
    enforceBounds(
      { perClientMax, totalMax }: UnreleasedBounds,
      isConnected: (client: string) => boolean,
    ): void {
      for (const client of new Set(staged.map(change => change.client))) {
        forgetOldest(client, index.sizeOf(client) - perClientMax, 'perClientMax')
      }
      if (index.count <= totalMax) return
      for (const client of index.clients().filter(client => !isConnected(client))) {
        forgetOldest(client, index.count - totalMax, 'totalMax')
      }
      while (index.count > totalMax) forgetOldest(index.clientWithMost(), 1, 'totalMax')
    },
    /**
     * Forgets messages that were received before `beforeMs`. A message without a trusted time is
     * dated `nowMs`, so that its age is known from now on. To be called only while the clock is
     * trusted.
     */
    expire(beforeMs: number, nowMs: number): void {
      for (const change of ageChanges(index.all(), beforeMs, nowMs)) stage(change)
    },

    /** Whether a change waits for the next commit. */
    get isChanged() {
      return staged.length > 0
    },

    /** Writes the staged changes inside the open transaction; call `committed` or `reload` next. */
    write(): void {
      for (const change of staged) writeChange(change)
    },
    /** Drops the staged changes: the transaction made them durable. */
    committed(): void {
      staged = []
    },
    /** Restores the state on disk after a failed commit; staged changes are lost. */
    reload,
  }
}

function* ageChanges(all: UnreleasedMessage[], beforeMs: number, nowMs: number): Iterable<Change> {
  for (const message of all) {
    if (message.at === UNKNOWN_TIME) yield { kind: 'remember', ...message, at: nowMs }
    else if (message.at < beforeMs) yield { kind: 'release', ...message }
  }
}

function prepareChange(db: Database) {
  const insert = db.prepare('INSERT OR REPLACE INTO incoming VALUES (?, ?, ?, ?)')
  const remove = db.prepare('DELETE FROM incoming WHERE client = ? AND packet = ?')
  const removeAll = db.prepare('DELETE FROM incoming WHERE client = ?')
  return (change: Change): void => {
    const { kind, client } = change
    if (kind === 'remember') insert.run(client, change.packet, change.hash, change.at)
    else if (kind === 'release') remove.run(client, change.packet)
    else removeAll.run(client)
  }
}
