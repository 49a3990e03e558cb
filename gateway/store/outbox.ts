import type { Reading } from '../../config/events.ts'
import { startBacklog } from './backlog.ts'
import { type Ballast, isDiskFull, openBallast } from './ballast.ts'
import { bellFile, openBell } from './bell.ts'
import { beginEpoch } from './epoch.ts'
import { openGroups } from './groups.ts'
import { openHeads } from './heads.ts'
import { openIncoming } from './incoming.ts'
import { type DeadLetter, openNotes } from './notes.ts'
import { startNumbering } from './numbering.ts'
import { openForWriting } from './open.ts'
import { openPruning } from './prune.ts'
import { OUTBOX_ID, outboxMigrations } from './schema.ts'
import { openSpace } from './space.ts'

const OUTBOX = { key: 'outbox.file', applicationId: OUTBOX_ID, migrations: outboxMigrations }

/** What one commit makes durable: readings and dead letters in the order of acceptance. */
export type Changes = {
  readings: Reading[]
  deadLetters: { at: number; deadLetter: DeadLetter }[]
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
  const ballast = openBallast(file)
  const { db, lock, notes, epoch } = begin({ file, gateway, inboxFile }, ballast)
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
    commit({ readings, deadLetters }: Changes): void {
      if (readings.length + deadLetters.length === 0 && !incoming.isChanged) return
      const draft = numbering.draft()
      let grown = () => {}
      try {
        notes.transact(() => {
          if (readings.length > 0) grown = groups.add(readings, draft)
          for (const { at, deadLetter } of deadLetters) notes.addDeadLetter(at, deadLetter)
          incoming.write()
        })
      } catch (error) {
        incoming.reload()
        throw error
      }
      grown()
      draft.commit()
      heads.touch(draft.zones)
      incoming.committed()
      ring()
    },

    /** Deletes what may go; what may go is told by the retention. */
    pruning: openPruning({ db, notes, heads, ring }),
    space: openSpace(db),
    ballast,

    /** What waits, given what the inbox says is still to be delivered. */
    backlog: startBacklog(db),

    /** Writes how far each zone has come since the last call, if any moved: the heartbeat. */
    beat(): void {
      if (heads.write()) ring()
    },

    /** Adds notes of one kind in a commit of their own; each names this epoch. */
    addNotes(kind: string, contents: object[]): void {
      const named = contents.map(content => ({ epoch: epoch.epoch, ...content }))
      notes.transact(() => {
        for (const content of named) notes.add(kind, Date.now(), content)
      })
      ring()
    },

    close(): void {
      try {
        if (heads.write()) ring()
      } catch (error) {
        // The headers tell the next epoch the same.
        if (!isDiskFull(error)) throw error
      }
      db.close()
      bell.close()
      lock.close()
    },
  }
}

/** Opens the file and begins an epoch; on a full disk in the room that the ballast gives. */
function begin({ file, ...options }: Required<OutboxOptions>, ballast: Ballast) {
  const { db, lock } = withBallast(() => openForWriting(file, OUTBOX), ballast)
  try {
    const beginOnce = () => {
      const notes = openNotes(db)
      return { notes, epoch: beginEpoch(db, notes, options) }
    }
    return { db, lock, ...withBallast(beginOnce, ballast) }
  } catch (error) {
    db.close()
    lock.close()
    throw error
  }
}

function withBallast<T>(work: () => T, ballast: Ballast): T {
  try {
    return work()
  } catch (error) {
    if (!isDiskFull(error) || !ballast.free()) throw error
    return work()
  }
}
