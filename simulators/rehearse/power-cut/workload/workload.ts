import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { markDamaged } from '../../../../gateway/store/file/damage-mark.ts'
import { type Inbox, openInbox } from '../../../../gateway/store/inbox.ts'
import { type Outbox, openOutbox } from '../../../../gateway/store/outbox.ts'
import { mulberry32 } from '../../../building/random.ts'
import {
  type CommitAmounts,
  createStorePromises,
  type Mark,
  type WorkloadPhase,
} from '../recording/marks.ts'
import { type FileKind, newestVersions, writeOlderVersion } from './file-versions.ts'
import { deadLetterOf, packetIdOf, qos2HashOf, readingOf, storeKeyOf } from './numbered-content.ts'
import type { Sabotage } from './sabotage.ts'

/** The gateway id in the rehearsed stores. */
export const GATEWAY = 'rehearsal'
/** So long that the inbox saves no position by itself: only `save` saves positions. */
const NEVER_MS = 2_000_000_000

export const outboxPath = (dir: string) => join(dir, 'outbox.db')
export const inboxPath = (dir: string) => join(dir, 'inbox.db')

/** Opens the outbox of a folder as the gateway does. */
export const openOutboxIn = (dir: string) =>
  openOutbox({ file: outboxPath(dir), gateway: GATEWAY, inboxFile: inboxPath(dir) })
export const openInboxIn = (dir: string) => openInbox({ file: inboxPath(dir), settleMs: NEVER_MS })

export type Workload = ReturnType<typeof openWorkload>

const LIVE_RANGE = {
  ...{ end: null, topic: 'rehearsal', partitions: 6, zones: null, reason: 'rehearsal' },
  kind: 'live' as const,
}

/**
 * Opens the store in a folder, or creates a store, and works on it with the product's own code.
 * Writes each request (before the request is made) and each promise of the store into the file
 * `marks`. With the sabotage `ack-first` it marks the acknowledgement before the commit, as no
 * gateway may do.
 */
export function openWorkload(
  dir: string,
  store: string,
  { seed, sabotage }: { seed: number; sabotage: Sabotage | null },
) {
  const promises = createStorePromises()
  const marksFile = join(dir, 'marks')
  if (existsSync(marksFile)) promises.addLines(readFileSync(marksFile, 'utf8'))
  const marks = openSync(marksFile, 'a')
  const key = storeKeyOf(seed, store)
  const random = mulberry32(key + promises.commits.length)
  const mark = (next: Mark) => {
    writeSync(marks, `${JSON.stringify(next)}\n`)
    promises.add(next)
  }
  const enter = (phase: WorkloadPhase) => mark({ phase })
  const isNew = promises.store === null
  enter(isNew ? 'creation' : 'open')
  let outbox: Outbox = openOutboxIn(dir)
  let inbox: Inbox = openInboxIn(dir)
  if (isNew) {
    mark({ versions: newestVersions })
    mark({ store: outbox.store.toString('hex') })
    const position = { next: 1, nextNote: 1 }
    mark({ moving: position, notes: [] })
    inbox.addRange({ store: outbox.store, next: 1, ...LIVE_RANGE })
    mark({ moved: position })
  }
  const reopenOutbox = (phase: WorkloadPhase) => {
    enter('commit')
    outbox.close()
    enter(phase)
    outbox = openOutboxIn(dir)
  }

  return {
    ...{ dir, key, random, promises, sabotage, mark, enter },
    get outbox() {
      return outbox
    },
    get inbox() {
      return inbox
    },
    commit: (more: CommitAmounts) => commit({ key, promises, sabotage, mark, enter, outbox }, more),
    /** Saves the bridge's position in the inbox; returns the range with the saved position. */
    save() {
      inbox.flush()
      const [range] = inbox.rangesOf(outbox.store)
      mark({ moved: { next: range!.next, nextNote: inbox.nextNote(outbox.store) ?? 1 } })
      return range!
    },
    /** Closes the outbox, which checkpoints its write-ahead log, and reopens the outbox. */
    reopen: () => reopenOutbox('open'),
    /** Marks the outbox as damaged and reopens the outbox, which recovers its file. */
    recover(): void {
      markDamaged(outboxPath(dir), 'rehearsed')
      reopenOutbox('recovery')
      if (!outbox.recovery)
        throw new Error(`${store}: the reopened outbox was not recovered despite its mark`)
    },
    /**
     * Replaces a file by a file of an earlier version with the same rows, and opens it, which
     * migrates it.
     */
    migrate(kind: FileKind, version: number): void {
      enter('downgrade')
      this.save()
      if (kind === 'outbox') outbox.close()
      else inbox.close()
      writeOlderVersion(dir, kind, version)
      mark({ versions: { ...newestVersions, [kind]: version } })
      enter('migration')
      if (kind === 'outbox') outbox = openOutboxIn(dir)
      else inbox = openInboxIn(dir)
      mark({ versions: newestVersions })
    },
    close(): void {
      enter('commit')
      outbox.close()
      enter('inbox')
      inbox.close()
      closeSync(marks)
    },
  }
}

type CommitContext = Pick<Workload, 'key' | 'promises' | 'sabotage' | 'mark' | 'enter' | 'outbox'>

/** Commits further readings and dead letters: as many as `more` says. */
function commit(work: CommitContext, more: CommitAmounts): void {
  const { key, promises, sabotage, mark, outbox } = work
  const before = promises.commits.at(-1)!
  const now = {
    readings: before.readings + more.readings,
    deadLetters: before.deadLetters + more.deadLetters,
  }
  work.enter('commit')
  mark({ committing: now })
  if (sabotage === 'ack-first') mark({ acknowledged: now })
  if (more.readings > 0) {
    outbox.unreleased.forget('device')
    outbox.unreleased.remember('device', packetIdOf(now.readings), qos2HashOf(now.readings))
  }
  const numbers = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, at) => from + at + 1)
  outbox.commit({
    readings: numbers(before.readings, now.readings).map(number => readingOf(key, number)),
    deadLetters: numbers(before.deadLetters, now.deadLetters).map(number => ({
      at: number,
      deadLetter: deadLetterOf(key, number),
    })),
  })
  if (outbox.lastSequence !== now.readings)
    throw new Error(`the commit ended at sequence ${outbox.lastSequence}, not ${now.readings}`)
  mark({ acknowledged: now })
}
