import type { Database } from 'better-sqlite3'

type Change =
  | { kind: 'remember'; client: string; packet: number; hash: Buffer }
  | { kind: 'release'; client: string; packet: number }
  | { kind: 'forget'; client: string }

/**
 * QoS 2 messages that are stored and not yet released by their PUBREL: on disk, and mirrored in
 * memory for the look-up at every QoS 2 message. Changes count in memory at once and are written
 * with the next commit. An entry is the same message only if its topic and payload hash to the
 * same, because a packet id is used again once its device was told PUBCOMP.
 */
export function createUnreleasedMessages(db: Database) {
  const all = db.prepare('SELECT client, packet, hash FROM incoming')
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
    const rows = all.all() as { client: string; packet: number; hash: Buffer }[]
    for (const row of rows) apply({ kind: 'remember', ...row })
  }
  const stage = (change: Change) => {
    apply(change)
    staged.push(change)
  }
  reload()

  return {
    get count() {
      return count
    },
    has(client: string, packet: number, hash: Buffer): boolean {
      return clients.get(client)?.get(packet)?.equals(hash) ?? false
    },
    remember: (client: string, packet: number, hash: Buffer) =>
      stage({ kind: 'remember', client, packet, hash }),
    release: (client: string, packet: number) => stage({ kind: 'release', client, packet }),
    forget(client: string): void {
      if (clients.has(client)) stage({ kind: 'forget', client })
    },
    get isChanged() {
      return staged.length > 0
    },

    /** Writes the staged changes inside the open transaction; `committed` or `reload` follows. */
    write(): void {
      for (const change of staged) {
        if (change.kind === 'remember') insert.run(change.client, change.packet, change.hash)
        else if (change.kind === 'release') remove.run(change.client, change.packet)
        else removeAll.run(change.client)
      }
    },
    committed(): void {
      staged = []
    },
    /** Goes back to what is on disk, after a commit that failed. */
    reload,
  }
}
