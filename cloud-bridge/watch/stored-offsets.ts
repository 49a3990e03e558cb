import type { StoredRecords } from '../ports/event-sink.ts'
import type { Offsets } from '../ports/event-stream.ts'

/** A topic that lost acknowledged records: Kafka continues a partition at a lower offset. */
export type LostRecords = {
  topic: string
  partition: number
  /** The offset after the last record that Kafka had acknowledged. */
  acknowledged: number
  /** The offset at which the partition continues. */
  end: number
  /** When this was noticed, in ms since 1970. */
  atMs: number
}

export type StoredOffsets = ReturnType<typeof createStoredOffsets>

/**
 * Remembers, for each partition, the offset after the last acknowledged record. Offsets only rise:
 * a lower offset shows that the topic was deleted and created again, or that a replica without all
 * records became the leader. Either way Kafka no longer has records that it acknowledged.
 */
export function createStoredOffsets(nowMs = () => Date.now()) {
  const ends = new Map<string, Map<number, number>>()
  const lost = new Map<string, LostRecords>()
  /** Partitions whose end was too low at the last comparison, as `topic:partition`. */
  let suspects = new Set<string>()

  const endsOf = (topic: string) => {
    const own = ends.get(topic) ?? new Map<number, number>()
    ends.set(topic, own)
    return own
  }
  const record = (topic: string, partition: number, acknowledged: number, end: number) => {
    if (!lost.has(topic)) lost.set(topic, { topic, partition, acknowledged, end, atMs: nowMs() })
  }
  return {
    stored({ topic, partition, firstOffset, count }: StoredRecords): void {
      const own = endsOf(topic)
      const acknowledged = own.get(partition) ?? 0
      if (firstOffset < acknowledged) record(topic, partition, acknowledged, firstOffset)
      own.set(partition, firstOffset + count)
    },
    /**
     * Compares the end offsets of topics with the acknowledged offsets. Only an end that is too low
     * twice in a row counts, because a new leader may report too low an end for a moment.
     */
    compare(topics: ReadonlyMap<string, { end: Offsets }>): void {
      const before = suspects
      suspects = new Set()
      for (const [topic, { end }] of topics) {
        for (const [partition, acknowledged] of ends.get(topic) ?? []) {
          const found = end.get(partition) ?? 0
          if (found >= acknowledged) continue
          const name = `${topic}:${partition}`
          suspects.add(name)
          if (!before.has(name)) continue
          record(topic, partition, acknowledged, found)
          ends.get(topic)!.set(partition, found)
        }
      }
    },
    /** One entry for each topic that lost records, until `forget`. */
    get lost(): LostRecords[] {
      return [...lost.values()]
    },
    forget(topic: string): void {
      lost.delete(topic)
    },
  }
}
