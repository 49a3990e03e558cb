import type { ReadGroup } from '../read/group-finder.ts'
import type { OutboxReader } from '../read/outbox-reader.ts'
import type { BatchLimits } from './batch-reader.ts'

type Reader = Pick<OutboxReader, 'groupAt' | 'missingUpTo'>

/**
 * Keeps groups that were read before they are taken, at most one batch of them and only for the
 * reader that read them, because another one may read another file. What is taken is the same
 * either way: a group that is thinned or let go meanwhile goes out whole, as if taken before.
 */
export function createReadAhead() {
  let reader: Reader | null = null
  let groups = new Map<number, ReadGroup>()
  return {
    /** Reads groups from a number on, up to the limits or the first that cannot be taken whole. */
    read(from: Reader, next: number, { maxEvents, maxBytes }: BatchLimits): void {
      const before = reader === from ? groups : null
      reader = from
      groups = new Map()
      for (let [at, events, bytes] = [next, 0, 0]; events < maxEvents && bytes < maxBytes; ) {
        const group = before?.get(at) ?? from.groupAt(at)
        if (!group || !Array.isArray(group.content) || group.sequence !== at) return
        groups.set(at, group)
        at += group.count
        events += group.content.length
        for (const { value } of group.content) bytes += value.length
      }
    },
    /** The same reader; what was read is not read again. */
    wrap: (from: Reader): Reader => ({
      groupAt(sequence) {
        const group = reader === from ? groups.get(sequence) : undefined
        groups.delete(sequence)
        return group ?? from.groupAt(sequence)
      },
      missingUpTo: from.missingUpTo,
    }),
  }
}
