import Database from 'better-sqlite3'
import type { OutgoingNote } from '../../../../gateway/store/notes/note-log.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'
import { olderVersions } from './file-versions.ts'
import { noteContentOf } from './numbered-content.ts'
import { dropOldest, prune } from './retention-steps.ts'
import { outboxPath, type Workload } from './workload.ts'

/** Something that gateway, bridge or operator do to a store. */
type Step = (work: Workload) => void

/** So often a bridge that moved on has not saved it yet when something else happens. */
const UNSAVED_SHARE = 0.3

const upTo = (work: Workload, most: number) => Math.floor(work.random() * (most + 1))

/** Some notes of the outbox, as the bridge reads them. */
function notesFrom({ dir }: Workload, sequence: number): OutgoingNote[] {
  const reader = openOutboxReader(outboxPath(dir))
  const notes = reader?.notesFrom(sequence) ?? []
  reader?.close()
  return notes
}

/** What happens again and again, and how often among the others. */
const often: { share: number; step: Step }[] = [
  { share: 50, step: work => work.commit({ readings: 1 + upTo(work, 4), deadLetters: 0 }) },
  { share: 3, step: work => work.commit({ readings: upTo(work, 60), deadLetters: 2 }) },
  { share: 6, step: work => work.commit({ readings: 0, deadLetters: 1 + upTo(work, 2) }) },
  { share: 8, step: work => work.commit({ readings: 2, deadLetters: 1 }) },
  { share: 4, step: beat },
  { share: 10, step: settle },
  { share: 5, step: note },
]

/** What happens once in the life of each process. A new duty of the store gets a step here. */
const once: Record<string, Step> = {
  settle,
  checkpoint,
  prune,
  drop: dropOldest,
  migrate(work) {
    const { kind, version } = olderVersions[upTo(work, olderVersions.length - 1)]!
    work.migrate(kind, version)
  },
  heal: work => work.heal(),
  reopen: work => work.reopen(),
}

function beat(work: Workload): void {
  work.enter('commit')
  work.outbox.writeZoneHeads()
}

/** The bridge delivers some events and notes. */
function settle(work: Workload): void {
  const { acknowledged } = work.promised
  const { store } = work.outbox
  work.enter('inbox')
  const range = work.save()
  const next = range.next + upTo(work, Math.max(0, acknowledged.readings + 1 - range.next))
  const firstNote = work.inbox.nextNote(store) ?? 1
  const notes = notesFrom(work, firstNote)
  const taken = notes.slice(0, upTo(work, notes.length))
  const nextNote = (taken.at(-1)?.sequence ?? firstNote - 1) + 1
  work.mark({ moving: { next, nextNote }, notes: taken })
  work.inbox.moveRange({ ...range, next })
  work.inbox.moveNotes(store, nextNote)
  if (work.random() >= UNSAVED_SHARE) work.save()
}

/** The bridge has something to say itself. */
function note(work: Workload): void {
  const { promised } = work.promised.notes
  const last = promised + 1 + upTo(work, 2)
  work.enter('inbox')
  work.mark({ noting: last })
  const numbers = Array.from({ length: last - promised }, (_, at) => promised + at + 1)
  work.inbox.addNotes(
    numbers.map(number => ({ kind: 'rehearsed', content: noteContentOf(work.key, number) })),
  )
  work.mark({ noted: last })
}

/** As an operator does who looks into the file with SQLite's own tool. */
function checkpoint(work: Workload): void {
  const mode = ['PASSIVE', 'RESTART', 'TRUNCATE'][upTo(work, 2)]
  work.enter('checkpoint')
  const db = new Database(outboxPath(work.dir))
  db.pragma(`wal_checkpoint(${mode})`)
  db.close()
}

/**
 * Works on a store for so many steps, and does all that happens once somewhere between them.
 * `isLong` leaves the checkpoints to SQLite, which makes one when its log has 1,000 pages.
 */
export function runSteps(work: Workload, count: number, isLong: boolean): void {
  const lots = often.flatMap(({ share, step }) => new Array<Step>(share).fill(step))
  const plan = Array.from({ length: count }, () => lots[upTo(work, lots.length - 1)]!)
  if (!isLong) {
    for (const step of Object.values(once)) plan.splice(upTo(work, plan.length), 0, step)
  }
  for (const step of plan) step(work)
}
