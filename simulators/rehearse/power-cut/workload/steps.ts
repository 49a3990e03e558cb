import Database from 'better-sqlite3'
import type { OutgoingNote } from '../../../../gateway/store/notes/note-log.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'
import { olderVersions } from './file-versions.ts'
import { noteContentOf } from './numbered-content.ts'
import { dropOldest, prune } from './retention-steps.ts'
import { outboxPath, type Workload } from './workload.ts'

/** An operation of gateway, bridge or operator on a store. */
type Step = (work: Workload) => void

/** The probability that the bridge has not saved its new position when the next step begins. */
const UNSAVED_SHARE = 0.3

/** A random whole number from 0 to `max`. */
const upTo = (work: Workload, max: number) => Math.floor(work.random() * (max + 1))

/** A page of notes of the outbox, as the bridge reads them. */
function notesFrom({ dir }: Workload, sequence: number): OutgoingNote[] {
  const reader = openOutboxReader(outboxPath(dir))
  const notes = reader?.notesFrom(sequence) ?? []
  reader?.close()
  return notes
}

/** The frequent steps and their weights. */
const frequentSteps: { weight: number; step: Step }[] = [
  { weight: 50, step: work => work.commit({ readings: 1 + upTo(work, 4), deadLetters: 0 }) },
  { weight: 3, step: work => work.commit({ readings: upTo(work, 60), deadLetters: 2 }) },
  { weight: 6, step: work => work.commit({ readings: 0, deadLetters: 1 + upTo(work, 2) }) },
  { weight: 8, step: work => work.commit({ readings: 2, deadLetters: 1 }) },
  { weight: 4, step: beat },
  { weight: 10, step: advance },
  { weight: 5, step: note },
]

/** The steps that each process makes once. A new operation of the store gets a step here. */
const singleSteps: Record<string, Step> = {
  advance,
  checkpoint,
  prune,
  drop: dropOldest,
  migrate(work) {
    const { kind, version } = olderVersions[upTo(work, olderVersions.length - 1)]!
    work.migrate(kind, version)
  },
  recover: work => work.recover(),
  reopen: work => work.reopen(),
}

function beat(work: Workload): void {
  work.enter('commit')
  work.outbox.writeZoneHeads()
}

/** The bridge delivers some events and notes and advances its position. */
function advance(work: Workload): void {
  const { acknowledged } = work.promises
  const { store } = work.outbox
  work.enter('inbox')
  const range = work.save()
  const next = range.next + upTo(work, Math.max(0, acknowledged.readings + 1 - range.next))
  const firstNote = work.inbox.nextNote(store) ?? 1
  const notes = notesFrom(work, firstNote)
  const readNotes = notes.slice(0, upTo(work, notes.length))
  const nextNote = (readNotes.at(-1)?.sequence ?? firstNote - 1) + 1
  work.mark({ moving: { next, nextNote }, notes: readNotes })
  work.inbox.moveRange({ ...range, next })
  work.inbox.moveNotes(store, nextNote)
  if (work.random() >= UNSAVED_SHARE) work.save()
}

/** The bridge adds notes of its own to the inbox. */
function note(work: Workload): void {
  const { promised } = work.promises.notes
  const last = promised + 1 + upTo(work, 2)
  work.enter('inbox')
  work.mark({ noting: last })
  const numbers = Array.from({ length: last - promised }, (_, at) => promised + at + 1)
  work.inbox.addNotes(
    numbers.map(number => ({ kind: 'rehearsed', content: noteContentOf(work.key, number) })),
  )
  work.mark({ noted: last })
}

/** Checkpoints the outbox like an operator who opens its file with the sqlite3 tool. */
function checkpoint(work: Workload): void {
  const mode = ['PASSIVE', 'RESTART', 'TRUNCATE'][upTo(work, 2)]
  work.enter('checkpoint')
  const db = new Database(outboxPath(work.dir))
  db.pragma(`wal_checkpoint(${mode})`)
  db.close()
}

/**
 * Runs `count` frequent steps on a store, and every single step at a random place between them.
 * With `isLong` there are only frequent steps, so that the write-ahead log reaches 1,000 pages and
 * SQLite itself checkpoints.
 */
export function runSteps(work: Workload, count: number, isLong: boolean): void {
  const lots = frequentSteps.flatMap(({ weight, step }) => new Array<Step>(weight).fill(step))
  const plan = Array.from({ length: count }, () => lots[upTo(work, lots.length - 1)]!)
  if (!isLong) {
    for (const step of Object.values(singleSteps)) plan.splice(upTo(work, plan.length), 0, step)
  }
  for (const step of plan) step(work)
}
