import type { ReadGroup } from '../read/group-finder.ts'
import type { OutboxReader } from '../read/outbox-reader.ts'
import type { BatchLimits } from './batch-reader.ts'

type GroupReader = Pick<OutboxReader, 'groupAt' | 'missingUpTo'>

/**
 * Caches the groups of the next batch while the present batch is sent. The cache contains at most
 * one batch. It is used only for the reader that read the groups, because another reader may read
 * another file. A cached group that is thinned or dropped meanwhile is delivered in full, as if it
 * had been part of the present batch.
 */
export type ReadAhead = ReturnType<typeof createReadAhead>

export function createReadAhead() {
  let reader: GroupReader | null = null
  let groups = new Map<number, ReadGroup>()
  return {
    /** Reads groups from `next` on, up to the limits or the first group that is not intact. */
    read(from: GroupReader, next: number, { maxEvents, maxBytes }: BatchLimits): void {
      const previous = reader === from ? groups : null
      reader = from
      groups = new Map()
      let [sequence, events, bytes] = [next, 0, 0]
      while (events < maxEvents && bytes < maxBytes) {
        const group = previous?.get(sequence) ?? from.groupAt(sequence)
        if (!group || !Array.isArray(group.content) || group.sequence !== sequence) return
        groups.set(sequence, group)
        sequence += group.count
        events += group.content.length
        for (const { value } of group.content) bytes += value.length
      }
    },
    /** Wraps a reader, so that cached groups are not read a second time. */
    wrap: (from: GroupReader): GroupReader => ({
      groupAt(sequence) {
        const group = reader === from ? groups.get(sequence) : undefined
        groups.delete(sequence)
        return group ?? from.groupAt(sequence)
      },
      missingUpTo: from.missingUpTo,
    }),
  }
}
