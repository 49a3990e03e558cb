import { lowerBound } from '../../../config/collections/lower-bound.ts'
import type { ClockCorrection } from '../../ledger/notes/notes.ts'

/** Above this number of notes, the notes of the epoch that was reported first are forgotten. */
const NOTES_MAX = 200_000

/** The clock offsets of gateways, by epoch and sequence. */
export function createClockOffsets(notesMax = NOTES_MAX) {
  /**
   * The corrections of each gateway and epoch, ordered by `from`. Gateways and epochs are in the
   * order of their first report.
   */
  const byEpoch = new Map<string, ClockCorrection[]>()
  let count = 0

  return {
    /** Adds a note's correction; a duplicate changes nothing. */
    add(gateway: string, { epoch, from, to, offsetMs }: ClockCorrection): void {
      const corrections = byEpoch.get(keyOf(gateway, epoch)) ?? []
      byEpoch.set(keyOf(gateway, epoch), corrections)
      const index = lastIndexFrom(corrections, from)
      if (corrections[index]?.from === from) {
        corrections[index] = { epoch, from, to, offsetMs }
        return
      }
      corrections.splice(index + 1, 0, { epoch, from, to, offsetMs })
      count++
      for (const [key, { length }] of byEpoch) {
        if (count <= notesMax || byEpoch.size === 1) break
        byEpoch.delete(key)
        count -= length
      }
    },
    /** The ms to add to an event's time; null when no note covers the event. */
    find(gateway: string, epoch: number, sequence: number): number | null {
      const corrections = byEpoch.get(keyOf(gateway, epoch)) ?? []
      const correction = corrections[lastIndexFrom(corrections, sequence)]
      return correction && sequence <= correction.to ? correction.offsetMs : null
    },
  }
}

/**
 * The index of the last correction that begins at a sequence or before it; -1 when there is none.
 */
function lastIndexFrom(corrections: readonly ClockCorrection[], sequence: number): number {
  return lowerBound(corrections, ({ from }) => from <= sequence) - 1
}

const keyOf = (gateway: string, epoch: number) => `${epoch} ${gateway}`
