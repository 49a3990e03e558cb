/** What gathers in memory of one partition. */
export type Holder = {
  /** How much it holds, as bytes of Kafka. */
  readonly bytes: number
  /** Commits it. Resolves, too, when that fails for good. */
  empty(): Promise<void>
}

export type Room = ReturnType<typeof startRoom>

/** Bounds what the partitions of a process gather together, however many they are. */
export function startRoom(maxBytes: number) {
  const holders = new Set<Holder>()
  const held = () => [...holders].reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    enter: (holder: Holder) => void holders.add(holder),
    leave: (holder: Holder) => void holders.delete(holder),
    /** Resolves when there is room again: who holds most makes it, and so the largest files. */
    async make(): Promise<void> {
      while (held() >= maxBytes) {
        const [first, ...others] = holders
        await others.reduce((most, one) => (one.bytes > most.bytes ? one : most), first!).empty()
      }
    },
  }
}
