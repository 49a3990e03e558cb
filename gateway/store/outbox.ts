import type { Database } from 'better-sqlite3'
import { beginEpoch, type Owner } from './epoch.ts'
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
import type { Note } from './notes/note-kinds.ts'
import { createNoteLog, type DeadLetter } from './notes/note-log.ts'
import { createUnreleasedMessages } from './qos2-unreleased.ts'
import { refillOutbox } from './recovery/outbox-rebuild.ts'
import { findWalFault, hasBell } from './recovery/wal-check.ts'
import { createFilesCheck, openForWriting } from './recovery/writable-database.ts'

const OUTBOX = {
  key: 'outbox.file',
  applicationId: OUTBOX_APPLICATION_ID,
  migrations: outboxMigrations,
}

/**
 * The content of one commit: readings and dead letters, each in the order in which the messages
 * were accepted, and further notes. Readings get their sequences lane by lane, in the order of
 * `splitByLane`.
 */
export type Changes = {
  readings?: AcceptedReading[]
  deadLetters?: { at: number; deadLetter: DeadLetter }[]
  notes?: { note: Note; at: number }[]
}

/**
 * `inboxFile` is the bridge's inbox. The sequences of a new epoch start after the positions in the
 * inbox. Without an inbox, only outbox and bell show which sequences were assigned before.
 * `gateway` is the configured id; null: the outbox keeps its id, and a new outbox draws one.
 */
export type OutboxOptions = { file: string; gateway: string | null; inboxFile?: string }

export type Outbox = ReturnType<typeof openOutbox>

/**
 * Opens the outbox for its one writer; creates the outbox and its directory when there is none.
 * Begins a new epoch, whose first note names the previous epoch and its zone heads. A damaged file
 * is set aside first, and the new file gets all rows that can be salvaged (`recovery`). Throws
 * CannotStart when another process writes the file, when the file cannot be opened, or when the
 * file is not an outbox.
 */
export function openOutbox({ file, gateway, inboxFile = '' }: OutboxOptions) {
  const owner = { gateway, inboxFile }
  const kind = { ...OUTBOX, isKnown: hasBell, findFault: findWalFault, refill: refillOutbox(owner) }
  const ballast = createBallast(file)
  const open = () => openForWriting(file, kind, db => createParts(db, owner))
  const { db, lock, recovery, parts } = withBallast(open, ballast)
  const { notes, epoch, numbering, groups, heads, unreleased, backlog } = parts
  const bell = openBell(bellFile(file))
  const ring = () => bell.ring({ ...epoch, sequence: numbering.last, noteSequence: notes.last })
  const wear = openWearMeter(db)
  ring()

  return {
    ...epoch,
    /** What was recovered when the outbox was opened; null when the file was not damaged. */
    recovery,
    /** The sequence of the last stored event; 0 when no event was ever stored. */
    get lastSequence() {
      return numbering.last
    },
    /** Bytes of the headers and bodies of all groups that were ever stored. */
    get bytesSoFar() {
      return groups.bytesSoFar
    },
    /** Unreleased QoS 2 messages; their changes become durable with the next commit. */
    unreleased,

    /**
     * Makes all changes durable in one transaction and one fsync, then rings the bell. Throws when
     * the transaction fails: then no change is stored. After an I/O error it is unknown whether
     * the changes are stored.
     */
    commit({ readings = [], deadLetters = [], notes: furtherNotes = [] }: Changes): void {
      const count = readings.length + deadLetters.length + furtherNotes.length
      if (count === 0 && !unreleased.isChanged) return
      const draft = numbering.draft()
      groups.begin()
      try {
        notes.transact(() => {
          for (const group of splitByLane(readings)) groups.add(group, draft)
          for (const { at, deadLetter } of deadLetters) notes.addDeadLetter(at, deadLetter)
          for (const { note, at } of furtherNotes) notes.add(note, at)
          unreleased.write()
        })
      } catch (error) {
        unreleased.reload()
        throw error
      }
      groups.committed()
      draft.commit()
      heads.touch(draft.allZones)
      unreleased.committed()
      ring()
    },

    /**
     * Throws ReplacedFileError when a file of the outbox is no longer at its path. Call this after
     * a commit and before its acknowledgements: a commit to a deleted file is not durable.
     */
    checkFiles: createFilesCheck(file),

    /** Deletes groups and notes that the retention chooses. */
    pruning: createPruning({ db, notes, heads, ring }),
    /** Removes events from groups that are thinned. */
    thinner: createThinner({ db, notes, ring }),
    space: createSpaceControl(db, wear.measure),
    /** Counts the bytes that are written to disk for the outbox. */
    ...{ wear, ballast },
    /** The stored dead letters and their state. */
    ...{ deadLetters: createDeadLetters(db), deadLetterBytes: createDeadLetterBound(db, notes) },

    /** Measures the undelivered events, given the inbox's undelivered ranges. */
    backlog,

    /** Writes the heartbeat: the newest sequence, and the heads of the zones with new events. */
    writeZoneHeads(): void {
      heads.write()
      ring()
    },

    close(): void {
      try {
        if (heads.writeLast()) ring()
      } finally {
        for (const resource of [wear, db, bell, lock]) resource.close()
      }
    },
  }
}

/** Opens the outbox. When the disk is full, removes the ballast and tries again. */
function withBallast<T>(open: () => T, ballast: Ballast): T {
  try {
    return open()
  } catch (error) {
    if (!isDiskFull(error) || !ballast.free()) throw error
    return open()
  }
}

/**
 * Creates all parts of the outbox that read the file when they are created, so that damage is found
 * before the first commit.
 */
function createParts(db: Database, owner: Owner) {
  const notes = createNoteLog(db)
  const epoch = beginEpoch(db, notes, owner)
  const numbering = createNumbering(epoch.lastSequence)
  const groups = createGroupWriter(db, epoch)
  const heads = createZoneHeads(db, notes, numbering, epoch.epoch)
  const unreleased = createUnreleasedMessages(db)
  return { notes, epoch, numbering, groups, heads, unreleased, backlog: createBacklogMeter(db) }
}
