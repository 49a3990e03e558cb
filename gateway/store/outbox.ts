import type { Reading } from '../../config/events.ts'
import { startBacklog } from './backlog.ts'
import { bellFile, openBell } from './bell.ts'
import { startDeadLetters } from './dead-letters.ts'
import { beginEpoch } from './epoch.ts'
import { openGroups } from './groups.ts'
import { openHeads } from './heads.ts'
import { openIncoming } from './incoming.ts'
import { type DeadLetter, openNotes } from './notes.ts'
import { startNumbering } from './numbering.ts'
import { openForWriting } from './open.ts'
import { OUTBOX_ID, outboxMigrations } from './schema.ts'

const OUTBOX = { key: 'outbox.file', applicationId: OUTBOX_ID, migrations: outboxMigrations }

/**
 * What one commit makes durable: readings and dead letters in the order of acceptance, and what else
 * is to be noted with them.
 */
export type Changes = {
  readings: Reading[]
  deadLetters: { at: number; deadLetter: DeadLetter }[]
  notes?: { kind: string; at: number; content: object }[]
}

/** `inboxFile` tells how far the bridge has come; without it only the bell does. */
export type OutboxOptions = { file: string; gateway: string; inboxFile?: string }

export type Outbox = ReturnType<typeof openOutbox>

/**
 * Opens the outbox for its one writer, creating it (and its directory) when there is none. A new
 * epoch begins: its first note names the epoch before and how far each of its zones had come.
 * Throws CannotStart when another process writes, or the file cannot be opened or is not ours.
 */
export function openOutbox({ file, gateway, inboxFile = '' }: OutboxOptions) {
  const { db, lock } = openForWriting(file, OUTBOX)
  const transact = db.transaction((work: () => void) => work())
  const notes = openNotes(db)
  const epoch = beginEpoch(db, notes, { gateway, inboxFile })
  const numbering = startNumbering(epoch.lastSequence)
  const groups = openGroups(db, epoch)
  const heads = openHeads(db, notes, numbering, epoch.epoch)
  const incoming = openIncoming(db)
  const bell = openBell(bellFile(file))
  const ring = () => bell.ring({ ...epoch, sequence: numbering.last, noteSequence: notes.last })
  ring()

  return {
    ...epoch,
    /** The position of the last stored event. */
    get lastSequence() {
      return numbering.last
    },
    get bytesSoFar() {
      return groups.bytesSoFar
    },
    /** What is known of QoS 2 messages; its changes become durable with the next commit. */
    incoming,

    /**
     * Makes all changes durable in one transaction and one fsync, then rings the bell. Throws when
     * it could not; then none of them is stored, or (after an I/O error) it is unknown.
     */
    commit({ readings, deadLetters, notes: more = [] }: Changes): void {
      const count = readings.length + deadLetters.length + more.length
      if (count === 0 && !incoming.isChanged) return
      const draft = numbering.draft()
      const noteMark = notes.last
      let grown = () => {}
      try {
        transact.immediate(() => {
          if (readings.length > 0) grown = groups.add(readings, draft)
          for (const { at, deadLetter } of deadLetters) notes.addDeadLetter(at, deadLetter)
          for (const { kind, at, content } of more) notes.add(kind, at, content)
          incoming.write()
        })
      } catch (error) {
        notes.rewind(noteMark)
        incoming.reload()
        throw error
      }
      grown()
      draft.commit()
      heads.touch(draft.zones)
      incoming.committed()
      ring()
    },

    /** What was buried, and what became of it. */
    deadLetters: startDeadLetters(db),

    /** What waits, given what the inbox says is still to be delivered. */
    backlog: startBacklog(db),

    /** Writes how far each zone has come since the last call, if any moved: the heartbeat. */
    beat(): void {
      if (heads.write(transact)) ring()
    },

    close(): void {
      if (heads.write(transact)) ring()
      db.close()
      bell.close()
      lock.close()
    },
  }
}
