import { IntervalSet } from '../../interval-set.ts'
import type { LedgerNote } from './notes.ts'

/** The readable notes of a run in a file that arrived. Times are append times, ms since 1970. */
export type RunNumbers = {
  /** The kind and the id of the file, and the run; null for notes that do not name their run. */
  origin: string
  file: string
  run: number | null
  /** The outbox that the notes of an inbox name; null until a note does. */
  outbox: string | null
  /** The gateway in the newest note of the ledger topic; null without such a note. */
  gateway: string | null
  /** The mark is the append time. */
  arrived: IntervalSet<number>
  /**
   * The highest number in the ledger topic. The bridge sends the notes of a file in order, and the
   * end of the dead-letter topic is read later, so all lower numbers are in what was read.
   */
  judgedTo: number
  oldestMs: number
  newestMs: number
}

/** Whether the dead-letter topic was read, does not exist, or was not asked for. */
type DeadLetterTopic = 'read' | 'absent' | 'unread'

export type NoteNumbers = ReturnType<typeof createNoteNumbers>

/**
 * The numbers of the notes of all files, from the ledger topic and the dead-letter topic together.
 * The notes of a file have numbers without gaps, so a number that arrived nowhere is a lost note.
 * After an image is restored, numbers repeat: file, run and number identify a note.
 */
export function createNoteNumbers() {
  const files = new Map<string, Map<number | null, RunNumbers>>()
  const known = { deadLetterTopic: 'unread' as DeadLetterTopic }

  const numbersOf = ({ origin, file, run }: LedgerNote): RunNumbers => {
    const key = keyOf(origin, file)
    const runs = files.get(key) ?? new Map<number | null, RunNumbers>()
    files.set(key, runs)
    const numbers = runs.get(run) ?? createRunNumbers(origin, file, run)
    runs.set(run, numbers)
    return numbers
  }

  return {
    get deadLetterTopic(): DeadLetterTopic {
      return known.deadLetterTopic
    },
    /** Records whether Kafka has the dead-letter topic, which is read then. */
    recordDeadLetterTopic(isThere: boolean): void {
      known.deadLetterTopic = isThere ? 'read' : 'absent'
    },
    add(note: LedgerNote, { isDeadLetter }: { isDeadLetter: boolean }): void {
      const { origin, file, store, gateway, sequence, appendTimeMs, isReadable } = note
      if (origin !== 'outbox' && origin !== 'inbox') return
      const numbers = numbersOf(note)
      if (!isDeadLetter) {
        numbers.judgedTo = Math.max(numbers.judgedTo, sequence)
        numbers.gateway = gateway
      }
      if (origin === 'outbox' || store !== file) numbers.outbox = store
      numbers.oldestMs = Math.min(numbers.oldestMs, appendTimeMs)
      numbers.newestMs = Math.max(numbers.newestMs, appendTimeMs)
      // The ledger reports an unreadable note as lost.
      if (isReadable) numbers.arrived.add(sequence, appendTimeMs)
    },
    /** The runs of which notes of a file arrived. */
    runsOf: (origin: string, file: string): RunNumbers[] => [
      ...(files.get(keyOf(origin, file))?.values() ?? []),
    ],
    /** The runs whose newest note of the ledger topic names a gateway. */
    runsUnder: (gateway: string): RunNumbers[] =>
      [...files.values()].flatMap(runs =>
        [...runs.values()].filter(numbers => numbers.gateway === gateway),
      ),
  }
}

const keyOf = (origin: string, file: string) => `${origin} ${file}`

const createRunNumbers = (origin: string, file: string, run: number | null): RunNumbers => ({
  ...{ origin, file, run, outbox: null, gateway: null, arrived: new IntervalSet(), judgedTo: 0 },
  ...{ oldestMs: Number.POSITIVE_INFINITY, newestMs: Number.NEGATIVE_INFINITY },
})
