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

/**
 * The result of one cut: `lost` counts promised content that is missing, `corrupt` lists faults in
 * the stored content, and `cannotOpen` is why the store did not open.
 */
export type CutFinding = { lost: number; corrupt: string[]; cannotOpen: string | null }

type OpenStore = { outbox: Outbox; inbox: Inbox }

/** `random` decides which file is opened first. `isThorough` adds SQLite's integrity check. */
export type ComparisonOptions = {
  dir: string
  key: number
  promises: StorePromises
  random: () => number
  isThorough: boolean
}

/**
 * Opens the files after a power cut with the product's own code, as gateway and bridge do when the
 * power is back. Compares all content with the promises of the store, and stores one more reading.
 * Never throws for a fault of the store: a fault is a finding.
 */
export function compareStore(options: ComparisonOptions): CutFinding {
  const finding: CutFinding = { lost: 0, corrupt: [], cannotOpen: null }
  using stack = new DisposableStack()
  let opened: OpenStore
  const hasDamageMark = readDamageReason(outboxPath(options.dir)) !== null
  try {
    compareVersions(options, finding)
    opened = openStore(options, stack)
  } catch (error) {
    return { ...finding, cannotOpen: (error as Error).message }
  }
  try {
    // A power cut damages no file, so only a file that was marked as damaged before may be
    // recovered.
    const recovery = (hasDamageMark ? null : opened.outbox.recovery) ?? opened.inbox.recovery
    if (recovery) finding.corrupt.push(`recovered without damage: ${recovery.reason}`)
    const position = readPosition(opened, finding)
    compareOutbox(options, { ...opened, position }, finding)
    compareInbox(options, { ...opened, position }, finding)
    if (options.isThorough) {
      for (const file of [outboxPath(options.dir), inboxPath(options.dir)]) {
        const result = checkIntegrity(file)
        if (result !== 'ok') finding.corrupt.push(`integrity_check of ${file}: ${result}`)
      }
    }
  } catch (error) {
    finding.corrupt.push((error as Error).message)
  }
  return finding
}

/** Each file must have one version completely, and that version must not be older than promised. */
function compareVersions({ dir, promises }: ComparisonOptions, finding: CutFinding): void {
  if (promises.phase !== 'creation' && promises.phase !== 'migration') return
  for (const kind of ['outbox', 'inbox'] as const) {
    try {
      if (readVersion(dir, kind) < promises.versions[kind]) finding.lost++
    } catch (error) {
      finding.corrupt.push((error as Error).message)
    }
  }
}

/** Opens both files in either order. The bridge may read the outbox before the gateway opens it. */
function openStore({ dir, random }: ComparisonOptions, stack: DisposableStack): OpenStore {
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
  { dir, key, promises }: ComparisonOptions,
  { outbox, position }: { outbox: Outbox; position: BridgePosition },
  finding: CutFinding,
): void {
  const addFault = (fault: string) => void finding.corrupt.push(fault)
  const { acknowledged, readNotes } = promises
  const { events, notes: storedNotes, store } = readStoreContent(outboxPath(dir))
  for (const event of events) {
    if (event.gateway !== GATEWAY)
      addFault(`event ${event.sequence} has gateway ${event.gateway}, not ${GATEWAY}`)
    if (readingText(event) !== readingText(readingOf(key, event.sequence)))
      addFault(`event ${event.sequence} is not the reading that was stored`)
  }
  const firstStoredNote = storedNotes[0]!.sequence
  const deliveredNotes = [...readNotes.values()].filter(
    ({ sequence }) => sequence < firstStoredNote,
  )
  const notes = [...deliveredNotes, ...storedNotes]
  const numbers = events.map(({ sequence }) => sequence)
  if (new Set(numbers).size !== numbers.length) addFault('an event is stored twice')
  const readings = numbers.at(-1) ?? 0
  const deadLetters = lastDeadLetter(deadLettersIn(notes, key, addFault), finding)
  const after = { key, promises, position, events, notes, firstStoredNote }
  finding.lost += judgeDeletions(after, addFault)
  finding.lost += Math.max(0, acknowledged.readings - readings)
  finding.lost += Math.max(0, acknowledged.deadLetters - deadLetters)
  if (promises.store && store !== promises.store) finding.lost++
  const isAfterCommit = (amounts: CommitAmounts) =>
    amounts.readings === readings && amounts.deadLetters === deadLetters
  if (!promises.commits.some(isAfterCommit))
    addFault(`a part of a commit: ${readings} readings, ${deadLetters} dead letters in all`)
  compareIncoming(outbox, readings, addFault)
  const epochs = notes.filter(({ kind }) => kind === 'epoch').map(({ content }) => content.epoch)
  if (new Set(epochs).size !== epochs.length) addFault('an epoch is used twice')
  // A store that lacks content writes a note and skips numbers, so the checks below would fail.
  if (finding.lost > 0) return
  if (notes.some(({ sequence }, at) => sequence !== at + 1)) addFault('notes have gaps')
  if (!areZoneHeadsRight(key, notes)) addFault('an epoch note has wrong zone heads')
  storeOneMore(outbox, dir, key, readings, addFault)
}

/** The highest number of the dead letters; every lower number that is missing is lost. */
function lastDeadLetter(numbers: number[], finding: CutFinding): number {
  const unique = new Set(numbers)
  if (unique.size !== numbers.length) finding.corrupt.push('a dead letter is stored twice')
  const last = numbers.at(-1) ?? 0
  finding.lost += Math.max(0, last - unique.size)
  return last
}

/** The numbers of the dead letters among the notes. Reports each dead letter with wrong content. */
function deadLettersIn(
  notes: OutgoingNote[],
  key: number,
  addFault: (fault: string) => void,
): number[] {
  return notes
    .filter(({ kind }) => kind === 'deadletter')
    .map(({ content }) => {
      const number = Number(content.place)
      const { payload, ...fields } = deadLetterOf(key, number)
      const expected = { ...fields, payload: Buffer.from(payload).toString('base64') }
      if (JSON.stringify(content) !== JSON.stringify(expected))
        addFault(`dead letter ${number} has other content than was stored`)
      return number
    })
}

/** The outbox must know exactly one QoS 2 message: that of the last commit. */
function compareIncoming(
  { unreleased }: Outbox,
  last: number,
  addFault: (fault: string) => void,
): void {
  const isKnown = last === 0 || unreleased.has('device', packetIdOf(last), qos2HashOf(last))
  if (!isKnown || unreleased.count !== Math.min(last, 1))
    addFault(`QoS 2: the message of reading ${last} must be unreleased, and no other`)
}

/** Stores one more reading. The reading must get the next sequence, in a new epoch. */
function storeOneMore(
  outbox: Outbox,
  dir: string,
  key: number,
  last: number,
  addFault: (fault: string) => void,
) {
  outbox.commit({ readings: [readingOf(key, last + 1)], deadLetters: [] })
  const { events } = readStoreContent(outboxPath(dir), last + 1)
  const [event] = events
  const isNext = events.length === 1 && event!.sequence === last + 1 && event!.zoneSequence === 1
  if (!isNext || event!.epoch !== outbox.epoch)
    addFault(`the next reading did not get sequence ${last + 1} in a new epoch`)
}

/** The bridge's position, as the inbox has it after the cut. */
function readPosition({ outbox, inbox }: OpenStore, finding: CutFinding): BridgePosition {
  const ranges = inbox.rangesOf(outbox.store)
  if (ranges.length > 1) finding.corrupt.push('a range is stored twice')
  return { next: ranges[0]?.next ?? 0, nextNote: inbox.nextNote(outbox.store) ?? 1 }
}

function compareInbox(
  { key, promises }: ComparisonOptions,
  { inbox, position }: { inbox: Inbox; position: BridgePosition },
  finding: CutFinding,
): void {
  const { notes } = promises
  const { requested, promised } = promises.position
  for (const field of ['next', 'nextNote'] as const) {
    if (position[field] < promised[field]) finding.lost++
    else if (position[field] > Math.max(requested[field], promised[field]))
      finding.corrupt.push(`the position's ${field} is ${position[field]}: never requested`)
  }
  let last = 0
  for (let page = inbox.notesFrom(1); page.length > 0; page = inbox.notesFrom(last + 1)) {
    for (const { sequence, content } of page) {
      last++
      const isExpected = JSON.stringify(content) === JSON.stringify(noteContentOf(key, last))
      if (sequence !== last || !isExpected)
        finding.corrupt.push(`note ${last} of the inbox has other content than was stored`)
      last = sequence
    }
  }
  finding.lost += Math.max(0, notes.promised - last)
  if (last > Math.max(notes.requested, notes.promised))
    finding.corrupt.push(`note ${last} of the inbox was never written`)
}

function checkIntegrity(file: string): string {
  const db = new Database(file, { readonly: true, fileMustExist: true })
  try {
    return db.pragma('integrity_check', { simple: true }) as string
  } finally {
    db.close()
  }
}
