/** The pending events of one partition. */
export type BufferOwner = {
  /** The size of the pending events, as bytes in Kafka. */
  readonly bytes: number
  /** Commits the pending events. Resolves also when the commit fails for good; never rejects. */
  commit(): Promise<void>
}

export type MemoryBudget = ReturnType<typeof createMemoryBudget>

/** Limits the bytes of the pending events of all partitions of a process together. */
export function createMemoryBudget(maxBytes: number) {
  const owners = new Set<BufferOwner>()
  const pendingBytes = () => [...owners].reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    add: (owner: BufferOwner) => void owners.add(owner),
    remove: (owner: BufferOwner) => void owners.delete(owner),
    /**
     * Resolves when fewer than `maxBytes` are pending. Until then the owner with the most pending
     * bytes commits, because its files are the largest.
     */
    async makeRoom(): Promise<void> {
      while (pendingBytes() >= maxBytes) {
        const [first, ...others] = owners
        const largest = others.reduce(
          (found, owner) => (owner.bytes > found.bytes ? owner : found),
          first!,
        )
        await largest.commit()
      }
    },
  }
}
