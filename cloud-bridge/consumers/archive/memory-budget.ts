/** What gathers in memory of one partition. */
export type BufferOwner = {
  /** How much it holds, as bytes of Kafka. */
  readonly bytes: number
  /** Commits it. Resolves, too, when that fails for good. */
  empty(): Promise<void>
}

export type MemoryBudget = ReturnType<typeof createMemoryBudget>

/** Bounds what the partitions of a process gather together, however many they are. */
export function createMemoryBudget(maxBytes: number) {
  const holders = new Set<BufferOwner>()
  const held = () => [...holders].reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    enter: (holder: BufferOwner) => void holders.add(holder),
    leave: (holder: BufferOwner) => void holders.delete(holder),
    /** Resolves when there is room again: who holds most makes it, and so the largest files. */
    async make(): Promise<void> {
      while (held() >= maxBytes) {
        const [first, ...others] = holders
        await others.reduce((most, one) => (one.bytes > most.bytes ? one : most), first!).empty()
      }
    },
  }
}
