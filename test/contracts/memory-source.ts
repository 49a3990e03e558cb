import type { BatchSource, PendingBatch } from '../../cloud-bridge/forward/forwarder.ts'

export type MemorySource = BatchSource & {
  /** Stores events of these zones as one group. */
  store(zones: string[]): void
  /** The number of calls of `advance`. */
  readonly advances: number
}

/** A minimal BatchSource: groups in memory, one open range. A value is `sequence zone`. */
export function createMemorySource(topic = 'readings', partitions = 3): MemorySource {
  const groups: PendingBatch['events'][] = []
  const range = { id: 1, topic, partitions }
  let [last, next, advances] = [0, 1, 0]
  return {
    get advances() {
      return advances
    },
    store(zones) {
      groups.push(
        zones.map(zone => {
          const sequence = ++last
          return { sequence, zone, value: Buffer.from(`${sequence} ${zone}`) }
        }),
      )
    },
    readBatch({ maxEvents, maxBytes }) {
      const events: PendingBatch['events'][number][] = []
      let bytes = 0
      for (const group of groups) {
        if (events.length >= maxEvents || bytes >= maxBytes) break
        const pending = group.filter(({ sequence }) => sequence >= next)
        events.push(...pending)
        bytes += pending.reduce((sum, { value }) => sum + value.length, 0)
      }
      if (events.length === 0) return null
      return { range, events, next: events.at(-1)!.sequence + 1 }
    },
    advance(batch) {
      advances++
      next = batch.next
    },
  }
}
