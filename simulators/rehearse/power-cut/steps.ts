import Database from 'better-sqlite3'
import type { ReadNote } from '../../../gateway/store/notes.ts'
import { openOutboxReader } from '../../../gateway/store/outbox-reader.ts'
import { noteOf } from './numbered.ts'
import { outboxIn, type Workload } from './workload.ts'

/** Something that gateway, bridge or operator do to a store, and how often among the others. */
type Step = { share: number; run(work: Workload): void }

const upTo = (work: Workload, most: number) => Math.floor(work.random() * (most + 1))

/** Some notes of the outbox, as the bridge reads them. */
function notesFrom({ dir }: Workload, sequence: number): ReadNote[] {
  const reader = openOutboxReader(outboxIn(dir))
  const notes = reader?.notesFrom(sequence) ?? []
  reader?.close()
  return notes
}

/** All that happens to a store while it is open. A new duty of the store gets a step here. */
const steps: Record<string, Step> = {
  few: { share: 50, run: work => work.commit({ readings: 1 + upTo(work, 4), deadLetters: 0 }) },
  many: { share: 3, run: work => work.commit({ readings: upTo(work, 60), deadLetters: 2 }) },
  buried: { share: 6, run: work => work.commit({ readings: 0, deadLetters: 1 + upTo(work, 2) }) },
  mixed: { share: 8, run: work => work.commit({ readings: 2, deadLetters: 1 }) },
  beat: {
    share: 4,
    run(work) {
      work.enter('commit')
      work.outbox.beat()
    },
  },
  settle: {
    share: 8,
    run(work) {
      const { next, acknowledged } = work.promised
      const { store } = work.outbox
      const behind = next.promised + upTo(work, acknowledged.readings + 1 - next.promised)
      work.enter('inbox')
      work.mark({ moving: behind })
      const [range] = work.inbox.rangesOf(store)
      work.inbox.moveRange({ ...range!, next: behind })
      const notes = notesFrom(work, work.inbox.nextNote(store) ?? 1)
      const last = notes[upTo(work, notes.length) - 1]
      if (last) work.inbox.moveNotes(store, last.sequence + 1)
      // Asking for the ranges writes what was moved.
      work.inbox.rangesOf(store)
      work.mark({ moved: behind })
    },
  },
  note: {
    share: 5,
    run(work) {
      const { promised } = work.promised.notes
      const last = promised + 1 + upTo(work, 2)
      work.enter('inbox')
      work.mark({ noting: last })
      const numbers = Array.from({ length: last - promised }, (_, at) => promised + at + 1)
      work.inbox.addNotes(
        numbers.map(number => ({ kind: 'rehearsed', content: noteOf(work.key, number) })),
      )
      work.mark({ noted: last })
    },
  },
  checkpoint: {
    share: 3,
    run(work) {
      const mode = ['PASSIVE', 'RESTART', 'TRUNCATE'][upTo(work, 2)]
      work.enter('checkpoint')
      // As an operator does who looks into the file with SQLite's own tool.
      const db = new Database(outboxIn(work.dir))
      db.pragma(`wal_checkpoint(${mode})`)
      db.close()
    },
  },
  reopen: { share: 1, run: work => work.reopen() },
}

/**
 * Works on a store for so many steps. `isLong` leaves the checkpoints to SQLite, which makes one
 * when its log has 1,000 pages.
 */
export function runSteps(work: Workload, count: number, isLong: boolean): void {
  const mine = Object.entries(steps)
    .filter(([name]) => !isLong || (name !== 'checkpoint' && name !== 'reopen'))
    .flatMap(([, step]) => new Array<Step>(step.share).fill(step))
  for (let done = 0; done < count; done++) {
    const step = mine[upTo(work, mine.length - 1)]!
    step.run(work)
  }
}
