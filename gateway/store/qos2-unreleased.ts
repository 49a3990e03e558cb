import type { Database } from 'better-sqlite3'

type Change =
  | { kind: 'remember'; client: string; packet: number; hash: Buffer }
  | { kind: 'release'; client: string; packet: number }
  | { kind: 'forget'; client: string }

/**
 * QoS 2 messages that are stored and not yet released by a PUBREL. They are stored in the outbox
 * and also in memory, because every QoS 2 message is looked up. A change is visible in memory at
 * once and is written with the next commit. A message with a stored packet id counts as repeated
 * only when the hash of its topic and payload equals the stored hash, because a device reuses a
 * packet id after PUBCOMP.
 */
export function createUnreleasedMessages(db: Database) {
  const selectAll = db.prepare('SELECT client, packet, hash FROM incoming')
  const insert = db.prepare('INSERT OR REPLACE INTO incoming VALUES (?, ?, ?)')
  const remove = db.prepare('DELETE FROM incoming WHERE client = ? AND packet = ?')
  const removeAll = db.prepare('DELETE FROM incoming WHERE client = ?')
  const clients = new Map<string, Map<number, Buffer>>()
  let count = 0
  let staged: Change[] = []

  const apply = (change: Change) => {
    const packets = clients.get(change.client) ?? new Map<number, Buffer>()
    count -= packets.size
    if (change.kind === 'remember') packets.set(change.packet, change.hash)
    else if (change.kind === 'release') packets.delete(change.packet)
    else packets.clear()
    count += packets.size
    if (packets.size === 0) clients.delete(change.client)
    else clients.set(change.client, packets)
  }
  const reload = () => {
    clients.clear()
    count = 0
    staged = []
    const rows = selectAll.all() as { client: string; packet: number; hash: Buffer }[]
    for (const row of rows) apply({ kind: 'remember', ...row })
  }
  const stage = (change: Change) => {
    apply(change)
    staged.push(change)
  }
  reload()

  return {
    /** The number of messages that are not released. */
    get count() {
      return count
    },
    /** Whether a client's packet id belongs to a stored message with this hash. */
    has(client: string, packet: number, hash: Buffer): boolean {
      return clients.get(client)?.get(packet)?.equals(hash) ?? false
    },
    remember: (client: string, packet: number, hash: Buffer) =>
      stage({ kind: 'remember', client, packet, hash }),
    release: (client: string, packet: number) => stage({ kind: 'release', client, packet }),
    /** Removes all messages of a client, whose session ended. */
    forget(client: string): void {
      if (clients.has(client)) stage({ kind: 'forget', client })
    },
    /** Whether a change waits for the next commit. */
    get isChanged() {
      return staged.length > 0
    },

    /** Writes the staged changes inside the open transaction; call `committed` or `reload` next. */
    write(): void {
      for (const change of staged) {
        if (change.kind === 'remember') insert.run(change.client, change.packet, change.hash)
        else if (change.kind === 'release') remove.run(change.client, change.packet)
        else removeAll.run(change.client)
      }
    },
    /** Drops the staged changes: the transaction made them durable. */
    committed(): void {
      staged = []
    },
    /** Restores the state on disk after a failed commit; staged changes are lost. */
    reload,
  }
}
