import Database from 'better-sqlite3'
import { readDamageReason } from '../../../../gateway/store/file/damage-mark.ts'
import type { Inbox } from '../../../../gateway/store/inbox.ts'
import type { OutgoingNote } from '../../../../gateway/store/notes/note-log.ts'
import type { Outbox } from '../../../../gateway/store/outbox.ts'
import { openOutboxReader } from '../../../../gateway/store/read/outbox-reader.ts'
import type { BridgePosition, CommitAmounts, StorePromises } from '../recording/marks.ts'
import { readVersion } from '../workload/file-versions.ts'
import {
  deadLetterOf,
  noteContentOf,
  packetIdOf,
  qos2HashOf,
  readingOf,
} from '../workload/numbered-content.ts'
import { GATEWAY, inboxPath, openInboxIn, openOutboxIn, outboxPath } from '../workload/workload.ts'
import { areZoneHeadsRight, judgeDeletions } from './deletions.ts'
import { readingText, readStoreContent } from './stored-content.ts'

/** How much was promised and is not there, and what is wrong with what is. */
export type CutFinding = { lost: number; corrupt: string[]; cannotOpen: string | null }

type Opened = { outbox: Outbox; inbox: Inbox }

/** `random` decides who opens first; `isThorough` has SQLite check its own files too. */
export type ComparisonOptions = {
  dir: string
  key: number
  promised: StorePromises
  random: () => number
  isThorough: boolean
}

/**
 * Opens what a power cut left with the product's own code, as gateway and bridge do when the power
 * is back, compares all of it with what was promised, and goes on writing. Never throws for what
 * the store does: that is a finding.
 */
export function compareStore(compared: ComparisonOptions): CutFinding {
  const finding: CutFinding = { lost: 0, corrupt: [], cannotOpen: null }
  using stack = new DisposableStack()
  let opened: Opened
  const isMarked = readDamageReason(outboxPath(compared.dir)) !== null
  try {
    compareVersions(compared, finding)
    opened = open(compared, stack)
  } catch (error) {
    return { ...finding, cannotOpen: (error as Error).message }
  }
  try {
    // Power that goes damages nothing, so there is nothing to heal but what was marked before.
    const healed = (isMarked ? null : opened.outbox.recovery) ?? opened.inbox.recovery
    if (healed) finding.corrupt.push(`taken for damage: ${healed.reason}`)
    const position = positionIn(opened, finding)
    compareOutbox(compared, { ...opened, position }, finding)
    compareInbox(compared, { ...opened, position }, finding)
    if (compared.isThorough) {
      for (const file of [outboxPath(compared.dir), inboxPath(compared.dir)]) {
        const said = integrityOf(file)
        if (said !== 'ok') finding.corrupt.push(`integrity_check: ${said}`)
      }
    }
  } catch (error) {
    finding.corrupt.push((error as Error).message)
  }
  return finding
}

/** Each file is the old version or the new one, whole, and the new one once that was promised. */
function compareVersions({ dir, promised }: ComparisonOptions, finding: CutFinding): void {
  if (promised.phase !== 'creation' && promised.phase !== 'migration') return
  for (const kind of ['outbox', 'inbox'] as const) {
    try {
      if (readVersion(dir, kind) < promised.versions[kind]) finding.lost++
    } catch (error) {
      finding.corrupt.push((error as Error).message)
    }
  }
}

/** Bridge or gateway may be first, and the bridge may look into an outbox that nobody repaired. */
function open({ dir, random }: ComparisonOptions, stack: DisposableStack): Opened {
  const draw = random()
  if (draw < 0.3) {
    const reader = openOutboxReader(outboxPath(dir))
    reader?.groupAt(1)
    reader?.close()
  }
  const openInbox = () => stack.adopt(openInboxIn(dir), inbox => inbox.close())
  const early = draw < 0.5 ? openInbox() : null
  const outbox = stack.adopt(openOutboxIn(dir), opened => opened.close())
  return { outbox, inbox: early ?? openInbox() }
}

function compareOutbox(
  { dir, key, promised }: ComparisonOptions,
  { outbox, position }: { outbox: Outbox; position: BridgePosition },
  finding: CutFinding,
): void {
  const wrong = (what: string) => void finding.corrupt.push(what)
  const { acknowledged, taken } = promised
  const { events, notes: stored, store } = readStoreContent(outboxPath(dir))
  for (const event of events) {
    if (event.gateway !== GATEWAY) wrong(`gateway ${event.gateway}`)
    if (readingText(event) !== readingText(readingOf(key, event.sequence)))
      wrong(`event ${event.sequence} is not the reading that was stored`)
  }
  const firstStoredNote = stored[0]!.sequence
  const delivered = [...taken.values()].filter(({ sequence }) => sequence < firstStoredNote)
  const notes = [...delivered, ...stored]
  const numbers = events.map(({ sequence }) => sequence)
  if (new Set(numbers).size !== numbers.length) wrong('an event stands there twice')
  const readings = numbers.at(-1) ?? 0
  const letters = countLetters(lettersIn(notes, key, wrong), finding)
  finding.lost += judgeDeletions({ key, promised, position, events, notes, firstStoredNote }, wrong)
  finding.lost += Math.max(0, acknowledged.readings - readings)
  finding.lost += Math.max(0, acknowledged.deadLetters - letters)
  if (promised.store && store !== promised.store) finding.lost++
  const isCommit = (one: CommitAmounts) => one.readings === readings && one.deadLetters === letters
  if (!promised.commits.some(isCommit)) wrong(`half a commit: ${readings}, ${letters}`)
  compareIncoming(outbox, readings, wrong)
  const epochs = notes.filter(({ kind }) => kind === 'epoch').map(({ content }) => content.epoch)
  if (new Set(epochs).size !== epochs.length) wrong('an epoch came twice')
  // A store that finds something missing says so, and leaves out its numbers.
  if (finding.lost > 0) return
  if (notes.some(({ sequence }, at) => sequence !== at + 1)) wrong('notes have gaps')
  if (!areZoneHeadsRight(key, notes)) wrong('an epoch tells other heads of the one before')
  goOn(outbox, dir, key, readings, wrong)
}

/** How far the numbers of dead letters go; each that is missing before is lost. */
function countLetters(numbers: number[], finding: CutFinding): number {
  const there = new Set(numbers)
  if (there.size !== numbers.length) finding.corrupt.push('a dead letter stands there twice')
  const last = numbers.at(-1) ?? 0
  finding.lost += Math.max(0, last - there.size)
  return last
}

/** The numbers of the dead letters. */
function lettersIn(notes: OutgoingNote[], key: number, wrong: (what: string) => void): number[] {
  const letters = notes.filter(({ kind }) => kind === 'deadletter')
  return letters.map(({ content }) => {
    const number = Number(content.place)
    const { payload, ...letter } = deadLetterOf(key, number)
    const whole = { ...letter, payload: Buffer.from(payload).toString('base64') }
    if (JSON.stringify(content) !== JSON.stringify(whole)) wrong(`dead letter ${number} differs`)
    return number
  })
}

/** The QoS 2 message of the last commit is known, and no other. */
function compareIncoming(
  { unreleased }: Outbox,
  last: number,
  wrong: (what: string) => void,
): void {
  const isKnown = last === 0 || unreleased.has('device', packetIdOf(last), qos2HashOf(last))
  if (!isKnown || unreleased.count !== Math.min(last, 1)) wrong('QoS 2 messages differ')
}

/** One more reading gets the next number, in a new epoch. */
function goOn(
  outbox: Outbox,
  dir: string,
  key: number,
  last: number,
  wrong: (what: string) => void,
) {
  outbox.commit({ readings: [readingOf(key, last + 1)], deadLetters: [] })
  const { events } = readStoreContent(outboxPath(dir), last + 1)
  const [event] = events
  const isNext = events.length === 1 && event!.sequence === last + 1 && event!.zoneSequence === 1
  if (!isNext || event!.epoch !== outbox.epoch) wrong('numbers do not go on')
}

/** Where the bridge goes on, by the inbox that is there. */
function positionIn({ outbox, inbox }: Opened, finding: CutFinding): BridgePosition {
  const ranges = inbox.rangesOf(outbox.store)
  if (ranges.length > 1) finding.corrupt.push('a range stands there twice')
  return { next: ranges[0]?.next ?? 0, nextNote: inbox.nextNote(outbox.store) ?? 1 }
}

function compareInbox(
  { key, promised }: ComparisonOptions,
  { inbox, position }: { inbox: Inbox; position: BridgePosition },
  finding: CutFinding,
): void {
  const { notes } = promised
  const { asked, promised: saved } = promised.position
  for (const what of ['next', 'nextNote'] as const) {
    if (position[what] < saved[what]) finding.lost++
    else if (position[what] > Math.max(asked[what], saved[what]))
      finding.corrupt.push(`${what} is ${position[what]}`)
  }
  let last = 0
  for (let more = inbox.notesFrom(1); more.length > 0; more = inbox.notesFrom(last + 1)) {
    for (const { sequence, content } of more) {
      last++
      const isMeant = JSON.stringify(content) === JSON.stringify(noteContentOf(key, last))
      if (sequence !== last || !isMeant) finding.corrupt.push(`note ${last} of the inbox differs`)
      last = sequence
    }
  }
  finding.lost += Math.max(0, notes.promised - last)
  if (last > Math.max(notes.asked, notes.promised)) finding.corrupt.push('a note nobody wrote')
}

function integrityOf(file: string): string {
  const db = new Database(file, { readonly: true, fileMustExist: true })
  try {
    return db.pragma('integrity_check', { simple: true }) as string
  } finally {
    db.close()
  }
}
