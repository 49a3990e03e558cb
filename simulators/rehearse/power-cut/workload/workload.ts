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

/** Who writes the rehearsed stores. */
export const GATEWAY = 'rehearsal'
/** Positions are saved when the workload says so. */
const NEVER_MS = 2_000_000_000

export const outboxPath = (dir: string) => join(dir, 'outbox.db')
export const inboxPath = (dir: string) => join(dir, 'inbox.db')

/** Opens both files of a folder as gateway and bridge do, one after the other. */
export const openOutboxIn = (dir: string) =>
  openOutbox({ file: outboxPath(dir), gateway: GATEWAY, inboxFile: inboxPath(dir) })
export const openInboxIn = (dir: string) => openInbox({ file: inboxPath(dir), settleMs: NEVER_MS })

export type Workload = ReturnType<typeof openWorkload>

/**
 * Opens the store in a folder, a new one or one that an earlier process left, and works on it with
 * the product's own code. Before it asks for something, and when the store has promised it, it says
 * so in the file `marks`. With `ack-first` it says so too early, as no gateway must.
 */
export function openWorkload(
  dir: string,
  store: string,
  { seed, sabotage }: { seed: number; sabotage: Sabotage | null },
) {
  const promised = createStorePromises()
  const marksFile = join(dir, 'marks')
  if (existsSync(marksFile)) promised.addLines(readFileSync(marksFile, 'utf8'))
  const marks = openSync(marksFile, 'a')
  const key = storeKeyOf(seed, store)
  const random = mulberry32(key + promised.commits.length)
  const mark = (next: Mark) => {
    writeSync(marks, `${JSON.stringify(next)}\n`)
    promised.add(next)
  }
  const enter = (phase: WorkloadPhase) => mark({ phase })
  const isNew = promised.store === null
  enter(isNew ? 'creation' : 'open')
  let outbox: Outbox = openOutboxIn(dir)
  let inbox: Inbox = openInboxIn(dir)
  if (isNew) {
    mark({ versions: newestVersions })
    mark({ store: outbox.store.toString('hex') })
    const rest = { end: null, topic: 'rehearsal', partitions: 6, zones: null, reason: 'rehearsal' }
    const position = { next: 1, nextNote: 1 }
    mark({ moving: position, notes: [] })
    inbox.addRange({ store: outbox.store, next: 1, ...rest })
    mark({ moved: position })
  }
  const reopenOutbox = (phase: WorkloadPhase) => {
    enter('commit')
    outbox.close()
    enter(phase)
    outbox = openOutboxIn(dir)
  }

  return {
    ...{ dir, key, random, promised, sabotage, mark, enter },
    get outbox() {
      return outbox
    },
    get inbox() {
      return inbox
    },
    commit: (more: CommitAmounts) => commit({ key, promised, sabotage, mark, enter, outbox }, more),
    /** Has the inbox write where the bridge goes on; gives the range that says so. */
    save() {
      inbox.flush()
      const [range] = inbox.rangesOf(outbox.store)
      mark({ moved: { next: range!.next, nextNote: inbox.nextNote(outbox.store) ?? 1 } })
      return range!
    },
    /** Closes the outbox, which checkpoints it, and opens it again. */
    reopen: () => reopenOutbox('open'),
    /** The same, after somebody has met damage in it. */
    heal(): void {
      markDamaged(outboxPath(dir), 'rehearsed')
      reopenOutbox('heal')
      if (!outbox.recovery) throw new Error(`${store}: a mark was not obeyed`)
    },
    /** Has a file stand there as an earlier program left it, and opens it. */
    migrate(kind: FileKind, version: number): void {
      enter('older')
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

type Committing = Pick<Workload, 'key' | 'promised' | 'sabotage' | 'mark' | 'enter' | 'outbox'>

/** Commits so many more readings and dead letters. */
function commit(work: Committing, more: CommitAmounts): void {
  const { key, promised, sabotage, mark, outbox } = work
  const before = promised.commits.at(-1)!
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
  if (outbox.lastSequence !== now.readings) throw new Error('numbers are not as told')
  mark({ acknowledged: now })
}
