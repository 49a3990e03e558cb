import type { ClockCorrection } from '../../ledger/notes.ts'

/** So many notes are remembered; those of the runs that were told of first are forgotten first. */
const NOTES_MAX = 200_000

/** How far clocks were off, by gateway, epoch and sequence. */
export function createClockOffsets(notesMax = NOTES_MAX) {
  /** Of each run, by its first sequence and in that order; those that were told of first, first. */
  const runs = new Map<string, ClockCorrection[]>()
  let count = 0

  return {
    /** Remembers a note; the same one again changes nothing. */
    add(gateway: string, { epoch, from, to, offsetMs }: ClockCorrection): void {
      const run = runs.get(keyOf(gateway, epoch)) ?? []
      runs.set(keyOf(gateway, epoch), run)
      const at = lastFrom(run, from)
      const known = run[at]
      if (known?.from === from) {
        run[at] = { epoch, from, to, offsetMs }
        return
      }
      run.splice(at + 1, 0, { epoch, from, to, offsetMs })
      count++
      for (const [key, { length }] of runs) {
        if (count <= notesMax || runs.size === 1) break
        runs.delete(key)
        count -= length
      }
    },
    /** What to add to the time of an event, in ms; null when nothing was said of it. */
    find(gateway: string, epoch: number, sequence: number): number | null {
      const run = runs.get(keyOf(gateway, epoch))
      const note = run?.[lastFrom(run, sequence)]
      return note && sequence <= note.to ? note.offsetMs : null
    },
  }
}

/** Which note is the last that begins at a sequence or before it; -1: none. */
function lastFrom(run: readonly ClockCorrection[], sequence: number): number {
  let [low, high] = [0, run.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (run[middle]!.from <= sequence) low = middle + 1
    else high = middle
  }
  return low - 1
}

const keyOf = (gateway: string, epoch: number) => `${epoch} ${gateway}`
