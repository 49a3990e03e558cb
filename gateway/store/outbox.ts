import type { Database } from 'better-sqlite3'
import { beginEpoch } from './epoch.ts'
import { type Ballast, createBallast, isDiskFull } from './file/ballast.ts'
import { bellFile, openBell } from './file/bell.ts'
import { createSpaceControl } from './file/disk-space.ts'
import { OUTBOX_APPLICATION_ID, outboxMigrations } from './file/schema.ts'
import { openWearMeter } from './file/wear.ts'
import { createBacklogMeter } from './groups/backlog.ts'
import { createThinner } from './groups/group-thinning.ts'
import { createGroupWriter } from './groups/group-writer.ts'
import { type AcceptedReading, splitByLane } from './groups/lanes.ts'
import { createNumbering } from './groups/numbering.ts'
import { createPruning } from './groups/pruning.ts'
import { createZoneHeads } from './groups/zone-heads.ts'
import { createDeadLetterBound } from './notes/dead-letter-bound.ts'
import { createDeadLetters } from './notes/dead-letters.ts'
import { createNoteLog, type DeadLetter } from './notes/note-log.ts'
import { createUnreleasedMessages } from './qos2-unreleased.ts'
import { refillOutbox } from './recovery/outbox-rebuild.ts'
import { findWalFault, hasBell } from './recovery/wal-check.ts'
import { openForWriting } from './recovery/writable-database.ts'

const OUTBOX = {
  key: 'outbox.file',
  applicationId: OUTBOX_APPLICATION_ID,
  migrations: outboxMigrations,
}

/**
 * What one commit makes durable: readings and dead letters in the order of acceptance (readings are
 * numbered lane by lane, as `byLane` parts them), and what else is to be noted with them.
 */
export type Changes = {
  readings?: AcceptedReading[]
  deadLetters?: { at: number; deadLetter: DeadLetter }[]
  notes?: { kind: string; at: number; content: object }[]
}

/** `inboxFile` tells how far the bridge has come; without it only the bell does. */
export type OutboxOptions = { file: string; gateway: string; inboxFile?: string }

export type Outbox = ReturnType<typeof openOutbox>

/**
 * Opens the outbox for its one writer, creating it (and its directory) when there is none. A new
 * epoch begins: its first note names the epoch before and how far each of its zones had come.
 * A damaged file is moved aside first, and what can be read in it is taken over (`healed`).
 * Throws CannotStart when another process writes, or the file cannot be opened or is not ours.
 */
export function openOutbox({ file, gateway, inboxFile = '' }: OutboxOptions) {
  const owner = { gateway, inboxFile }
  const kind = { ...OUTBOX, isKnown: hasBell, findFault: findWalFault, refill: refillOutbox(owner) }
  const ballast = createBallast(file)
  const open = () => openForWriting(file, kind, db => startParts(db, owner))
  const { db, lock, recovery, parts } = withBallast(open, ballast)
  const { notes, epoch, numbering, groups, heads, incoming, backlog } = parts
  const bell = openBell(bellFile(file))
  const ring = () => bell.ring({ ...epoch, sequence: numbering.last, noteSequence: notes.last })
  const wear = openWearMeter(db)
  ring()

  return {
    ...epoch,
    /** What had to be done to open it, null for nothing. */
    recovery,
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
    commit({ readings = [], deadLetters = [], notes: more = [] }: Changes): void {
      const count = readings.length + deadLetters.length + more.length
      if (count === 0 && !incoming.isChanged) return
      const draft = numbering.draft()
      groups.begin()
      try {
        notes.transact(() => {
          for (const some of splitByLane(readings)) groups.add(some, draft)
          for (const { at, deadLetter } of deadLetters) notes.addDeadLetter(at, deadLetter)
          for (const { kind, at, content } of more) notes.add(kind, at, content)
          incoming.write()
        })
      } catch (error) {
        incoming.reload()
        throw error
      }
      groups.committed()
      draft.commit()
      heads.touch(draft.allZones)
      incoming.committed()
      ring()
    },

    /** Deletes what may go; what may go is told by the retention. */
    pruning: createPruning({ db, notes, heads, ring }),
    /** Takes out of groups what is not kept of them. */
    thinner: createThinner({ db, notes, ring }),
    space: createSpaceControl(db, wear.measure),
    /** What it makes the disk write. */
    wear,
    ballast,
    /** What was buried, and what became of it. */
    deadLetters: createDeadLetters(db),
    deadLetterBytes: createDeadLetterBound(db, notes),

    /** What waits, given what the inbox says is still to be delivered. */
    backlog,

    /** Writes how far each zone has come since the last call, if any moved: the heartbeat. */
    writeZoneHeads(): void {
      if (heads.write()) ring()
    },

    close(): void {
      try {
        if (heads.write()) ring()
      } catch (error) {
        // The headers tell the next epoch the same.
        if (!isDiskFull(error)) throw error
      } finally {
        for (const one of [wear, db, bell, lock]) one.close()
      }
    },
  }
}

/** Opens the file; on a full disk in the room that the ballast gives. */
function withBallast<T>(open: () => T, ballast: Ballast): T {
  try {
    return open()
  } catch (error) {
    if (!isDiskFull(error) || !ballast.free()) throw error
    return open()
  }
}

/** Everything that reads the file when it is opened, so that damage shows before work begins. */
function startParts(db: Database, owner: { gateway: string; inboxFile: string }) {
  const notes = createNoteLog(db)
  const epoch = beginEpoch(db, notes, owner)
  const numbering = createNumbering(epoch.lastSequence)
  const groups = createGroupWriter(db, epoch)
  const heads = createZoneHeads(db, notes, numbering, epoch.epoch)
  const incoming = createUnreleasedMessages(db)
  return { notes, epoch, numbering, groups, heads, incoming, backlog: createBacklogMeter(db) }
}
