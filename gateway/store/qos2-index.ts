export type UnreleasedMessage = { client: string; packet: number; hash: Buffer; at: number }

/** A change of the unreleased QoS 2 messages; `forget` concerns all messages of a client. */
export type Change =
  | ({ kind: 'remember' } & UnreleasedMessage)
  | { kind: 'release'; client: string; packet: number }
  | { kind: 'forget'; client: string }

/**
 * Unreleased QoS 2 messages in memory, by client and packet id. The client that remembered last is
 * the last client, and its newest message is its last message.
 */
export function createUnreleasedIndex() {
  const byClient = new Map<string, Map<number, { hash: Buffer; at: number }>>()
  let count = 0
  return {
    get count() {
      return count
    },
    apply(change: Change): void {
      const { client } = change
      const packets = byClient.get(client) ?? new Map<number, { hash: Buffer; at: number }>()
      count -= packets.size
      if (change.kind === 'remember') {
        byClient.delete(client)
        packets.delete(change.packet)
        packets.set(change.packet, { hash: change.hash, at: change.at })
      } else if (change.kind === 'release') packets.delete(change.packet)
      else packets.clear()
      count += packets.size
      if (packets.size === 0) byClient.delete(client)
      else byClient.set(client, packets)
    },
    clear(): void {
      byClient.clear()
      count = 0
    },
    clients: () => [...byClient.keys()],
    sizeOf: (client: string) => byClient.get(client)?.size ?? 0,
    hashOf: (client: string, packet: number) => byClient.get(client)?.get(packet)?.hash,
    /** The packet ids of a client's oldest messages, at most `maxCount`. */
    oldestPackets(client: string, maxCount: number): number[] {
      if (maxCount <= 0) return []
      return [...(byClient.get(client)?.keys() ?? [])].slice(0, maxCount)
    },
    /** The client with the most messages; the first of several. */
    clientWithMost(): string {
      let [most, max] = ['', 0]
      for (const [client, { size }] of byClient) if (size > max) [most, max] = [client, size]
      return most
    },
    all: (): UnreleasedMessage[] =>
      [...byClient].flatMap(([client, packets]) =>
        [...packets].map(([packet, message]) => ({ client, packet, ...message })),
      ),
  }
}
