export type PacketIdLimits = { perClientMax: number; totalMax: number }

/**
 * Packet ids of QoS 2 messages between PUBLISH and PUBREL, in memory. They prevent that a repeated
 * message is sent to subscribers a second time; the outbox prevents that the message is stored a
 * second time. At a bound the oldest ids are forgotten.
 */
export function createPacketIds({ perClientMax, totalMax }: PacketIdLimits) {
  /** The client that added last is the last; so is its newest id. */
  const byClient = new Map<string, Set<number>>()
  let count = 0
  const remove = (client: string, id: number): boolean => {
    const ids = byClient.get(client)
    if (!ids?.delete(id)) return false
    count--
    if (ids.size === 0) byClient.delete(client)
    return true
  }
  const removeAll = (client: string) => {
    count -= byClient.get(client)?.size ?? 0
    byClient.delete(client)
  }
  return {
    get count() {
      return count
    },
    has: (client: string, id: number) => byClient.get(client)?.has(id) ?? false,
    add(client: string, id: number): void {
      remove(client, id)
      const ids = byClient.get(client) ?? new Set<number>()
      byClient.delete(client)
      byClient.set(client, ids.add(id))
      count++
      if (ids.size > perClientMax) remove(client, ids.values().next().value!)
      if (count > totalMax) removeAll(byClient.keys().next().value!)
    },
    /** Removes an id; returns false when the id is not known. */
    remove,
    removeAll,
  }
}
